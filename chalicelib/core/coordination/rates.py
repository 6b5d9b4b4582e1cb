"""Rates: not too often, across all instances.

The generic cell rate algorithm (ITU-T I.371, annex A): one number per key, the theoretical arrival time of the next
token. Taking one is one conditional update; a second only when the key was idle.
"""

from collections.abc import Callable
from time import time
from typing import NamedTuple

from chalicelib.core.stores.dynamodb import ConditionFailed, Table, TransactionRefused


class Limit(NamedTuple):
    """*tokens* per *period_ms*, all of which may come at once."""

    tokens: int
    period_ms: int

    @property
    def interval_us(self) -> int:
        """Microseconds from one token to the next, rounded up: never more than *tokens* per *period_ms*."""
        return -(-self.period_ms * 1000 // self.tokens)

    @property
    def burst_us(self) -> int:
        """How far ahead of the clock the next token's arrival may be: all tokens, to the microsecond."""
        return self.interval_us * self.tokens


class Taken(NamedTuple):
    """Whether a token was had; if not, when the next one is due."""

    ok: bool
    retry_after_ms: int


class Rates:
    """Rates by key."""

    def __init__(self, table: Table, *, now: Callable[[], float] = time) -> None:
        self._table, self._now = table, now

    def take(self, key: str, limit: Limit) -> Taken:
        """Take one token if one is due. Atomic: no token is had twice, by however many callers.

        An answer that is lost on the way may cost a token and never gives one.
        """
        interval, horizon = limit.interval_us, limit.burst_us
        for _ in range(_TRIES):
            now = round(self._now() * 1_000_000)
            try:
                self._advance(key, interval, now, horizon)
            except ConditionFailed as refused:
                arrival = (refused.item or {}).get("arrival", 0)
                if arrival > now + horizon - interval:
                    return Taken(ok=False, retry_after_ms=-(-(arrival - now - horizon + interval) // 1000))
                if self._restart(key, interval, now, horizon):
                    return Taken(ok=True, retry_after_ms=0)
            else:
                return Taken(ok=True, retry_after_ms=0)
        # Others moved the key between our two writes each time, so it is anything but idle.
        return Taken(ok=False, retry_after_ms=interval // 1000 or 1)

    def give_back(self, key: str, limit: Limit) -> None:
        """Return one token that was taken; nothing happens if the key is idle by now."""
        back = self._table.update_entry(
            _key(key),
            "SET arrival = arrival - :interval",
            when="arrival > :now",
            values={":interval": limit.interval_us, ":now": round(self._now() * 1_000_000)},
        )
        try:
            # A transaction, as the SDK asks again when an answer is lost, and a plain write would give back two.
            self._table.transact([back])
        except TransactionRefused:
            return

    def _advance(self, key: str, interval: int, now: int, horizon: int) -> None:
        """Move a busy key on by one token."""
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
        """Begin again with an idle key; return whether it still was."""
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


#: Each try that fails means that someone else had a token in between.
_TRIES = 5


def _key(key: str) -> str:
    return f"rate#{key}"
