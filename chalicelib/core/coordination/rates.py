"""Rates: rate limits across all instances.

The generic cell rate algorithm (ITU-T I.371, annex A): one number per key, the theoretical arrival time of the next
token. Taking a token is one conditional update; an idle key needs a second update.

The clock is DynamoDB's (`stores.dates`), so the clock of a process neither yields tokens nor keeps others from theirs.
"""

from collections.abc import Callable
from time import time
from typing import NamedTuple

from chalicelib.core.stores.dynamodb import ConditionFailed, Table, TransactionRefused


class Limit(NamedTuple):
    """*tokens* per *period_ms*; all tokens of a period may be taken at once."""

    tokens: int
    period_ms: int

    @property
    def interval_us(self) -> int:
        """The microseconds between two tokens, rounded up, so that no period yields more than *tokens*."""
        return -(-self.period_ms * 1000 // self.tokens)

    @property
    def burst_us(self) -> int:
        """The microseconds by which the arrival time may be ahead of the clock: the time of all tokens."""
        return self.interval_us * self.tokens


class Taken(NamedTuple):
    """Whether a token was taken; if not, *retry_after_ms* until the next token is due."""

    ok: bool
    retry_after_ms: int


class Rates:
    """Rate limits by key. *now* is a clock that all processes share, to a second or so."""

    def __init__(self, table: Table, *, now: Callable[[], float] = time) -> None:
        self._table, self._now = table, now

    def take(self, key: str, limit: Limit, tokens: int = 1) -> Taken:
        """Take *tokens* if so many are due, all or none. Atomic: no two callers take the same token.

        A lost response of DynamoDB may cost a token and never yields a token.
        """
        interval, horizon = limit.interval_us * tokens, limit.burst_us
        for _ in range(_TRIES):
            began = self._now_us()
            try:
                self._advance(key, interval, began, horizon)
            except ConditionFailed as refused:
                # The answer has told the store's time, which the first call of a process does not know.
                now = self._now_us()
                arrival = (refused.item or {}).get("arrival", 0)
                if arrival > now + horizon - interval:
                    return Taken(ok=False, retry_after_ms=-(-(arrival - now - horizon + interval) // 1000))
                if self._restart(key, interval, now, horizon):
                    return Taken(ok=True, retry_after_ms=0)
            else:
                if began - self._now_us() <= _AHEAD_US:
                    return Taken(ok=True, retry_after_ms=0)
                # The answer shows that the time was wrong, so the token was perhaps not due.
                self.give_back(key, limit, tokens)
        # Other callers took tokens between the two writes of every try, so the key is not idle.
        return Taken(ok=False, retry_after_ms=interval // 1000 or 1)

    def give_back(self, key: str, limit: Limit, tokens: int = 1) -> None:
        """Return *tokens* that were taken. Does nothing if the key is idle by now."""
        back = self._table.update_entry(
            _key(key),
            "SET arrival = arrival - :interval",
            when="arrival > :now",
            values={":interval": limit.interval_us * tokens, ":now": self._now_us()},
        )
        try:
            # A transaction has a client token. The SDK repeats a plain write after a lost response: two tokens.
            self._table.transact([back])
        except TransactionRefused:
            return

    def _now_us(self) -> int:
        return round(self._now() * 1_000_000)

    def _advance(self, key: str, interval: int, now: int, horizon: int) -> None:
        """Take a token of a busy key."""
        self._table.change(
            _key(key),
            "SET arrival = arrival + :interval, #ttl = :ttl",
            when="arrival >= :now AND arrival <= :latest",
            values={
                ":interval": interval,
                ":now": now,
                ":latest": now + horizon - interval,
                ":ttl": (now + horizon) // 1_000_000 + 1,
            },
            names={"#ttl": "ttl"},
        )

    def _restart(self, key: str, interval: int, now: int, horizon: int) -> bool:
        """Take the first token of an idle key; return False if the key is no longer idle."""
        try:
            self._table.change(
                _key(key),
                "SET arrival = :arrival, #ttl = :ttl",
                when="attribute_not_exists(arrival) OR arrival < :now",
                values={":arrival": now + interval, ":now": now, ":ttl": (now + horizon) // 1_000_000 + 1},
                names={"#ttl": "ttl"},
            )
        except ConditionFailed:
            return False
        return True


#: Each failed try means that another caller took a token in between.
_TRIES = 5
#: DynamoDB's dates are cut to seconds, so that a right time may go back by as much.
_AHEAD_US = 2_000_000


def _key(key: str) -> str:
    return f"rate#{key}"
