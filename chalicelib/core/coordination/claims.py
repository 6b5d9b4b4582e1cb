"""Claims: a piece of work is done once, also when whoever began it died half-way.

A claim is ``running`` and then ``done`` with its result; only the attempt that holds it may finish it. It stores the id
of the resource to be made before the work begins, so that whoever takes over makes the same one. Its TTL says how long
a repeat is recognised, and readers check it themselves.
"""

from collections.abc import Callable, Iterable
from time import time
from typing import NamedTuple

from chalicelib.core.coordination.errors import AlreadyDone, ClaimLost, GuardedRefused, OtherRequest, StillRunning
from chalicelib.core.runtime import deadline, ids
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed, Table, TransactionRefused, Write

_RUNNING, _DONE = "running", "done"
_NAMES = {"#state": "state", "#ttl": "ttl"}
_OURS = "attempt = :attempt AND #state = :running"
#: Its TTL moves along: a claim that is worked on must not be forgotten.
_TAKE = "SET attempt = :attempt, leaseUntil = :lease, #ttl = :ttl"


class Claim(NamedTuple):
    """Work that is ours to do. *resource_id* is the first attempt's, whichever attempt this is.

    *taken_over*: an attempt before this one died, perhaps after it had done the work.
    """

    key: str
    attempt: str
    resource_id: str
    taken_over: bool = False


class Claims:
    """Claims by key. A key names the work itself: a business id, never the id of a delivery."""

    def __init__(self, table: Table, settings: CoordinationSettings, *, now: Callable[[], float] = time) -> None:
        self._table, self._settings, self._now = table, settings, now

    def begin(self, key: str, *, ttl_seconds: int, fingerprint: str = "") -> Claim:
        """Claim the work, if nobody has done it and nobody is doing it. Atomic.

        Work whose attempt has outlived its lease may be taken over at once. *fingerprint* is kept with the claim: a
        repeat must bring the same.

        Raises:
            AlreadyDone: with the result.
            StillRunning: another attempt is within its lease.
            OtherRequest: the key was used with another fingerprint.
        """
        attempt, now_ms = ids.new_id(), self._now_ms()
        fresh: Item = {
            "pk": _key(key),
            "state": _RUNNING,
            "attempt": attempt,
            "resourceId": ids.new_id(),
            "fingerprint": fingerprint,
            **self._times(now_ms, ttl_seconds),
        }
        try:
            self._put(fresh, now_ms)
        except ConditionFailed as refused:
            return self._begin_again(fresh, refused.item, now_ms)
        return Claim(key, attempt, fresh["resourceId"])

    def reopen(self, key: str, result: str, *, ttl_seconds: int) -> Claim:
        """Claim work anew that was done with *result*, to do it once more; a repeat is recognised as after `begin`.

        Atomic: of many who saw that result, one does it once more.

        Raises:
            StillRunning: someone else has reopened it, and may have done it since.
        """
        attempt, times = ids.new_id(), self._times(self._now_ms(), ttl_seconds)
        try:
            item = self._table.update(
                _key(key),
                f"{_TAKE}, #state = :running REMOVE #result",
                when="#state = :done AND #result = :seen",
                values={":attempt": attempt, ":running": _RUNNING, ":done": _DONE, ":seen": result, **_values(times)},
                names={**_NAMES, "#result": "result"},
            )
        except ConditionFailed as refused:
            item = refused.item or {}
            # The SDK asked twice because the first answer was lost: the claim that stands is ours.
            if item.get("attempt") != attempt:
                raise StillRunning(retry_after_seconds=1) from refused
        return Claim(key, attempt, item["resourceId"], taken_over=True)

    def finish(self, claim: Claim, result: str, also: Iterable[Write] = ()) -> None:
        """Record *result*; *also* is written in the same transaction. Safe to repeat.

        Raises:
            ClaimLost: another attempt has taken over; nothing was written.
            GuardedRefused: a condition of *also* did not hold; nothing was written.
        """
        change = "SET #state = :done, #result = :result REMOVE leaseUntil"
        values = {":attempt": claim.attempt, ":running": _RUNNING, ":done": _DONE, ":result": result}
        names = {"#state": "state", "#result": "result"}
        done = self._table.update_entry(_key(claim.key), change, when=_OURS, values=values, names=names)
        try:
            if writes := list(also):
                self._table.transact([done, *writes])
            else:
                self._table.change(_key(claim.key), change, when=_OURS, values=values, names=names)
        except TransactionRefused as refused:
            ours = refused.reasons[0]
            if ours.code != "ConditionalCheckFailed":
                raise GuardedRefused from refused
            _expect_done(ours.item, claim, refused)
        except ConditionFailed as refused:
            _expect_done(refused.item, claim, refused)

    def abandon(self, claim: Claim) -> None:
        """Let another attempt begin at once, with the same resource id. Safe to repeat."""
        try:
            self._table.change(
                _key(claim.key),
                "SET leaseUntil = :now",
                when=_OURS,
                values={":attempt": claim.attempt, ":running": _RUNNING, ":now": 0},
                names={"#state": "state"},
            )
        except ConditionFailed:
            return

    def once(self, key: str, work: Callable[[Claim], str], *, ttl_seconds: int, fingerprint: str = "") -> str:
        """Return what *work* returns, having run it if nobody has; else what it returned then.

        *work* may run again after a crash, with the same `Claim.resource_id`: what it makes must be made under that.

        Raises:
            StillRunning, OtherRequest: as `begin` does.
            ClaimLost: it took longer than its lease, and another attempt has the work now.
        """
        try:
            claim = self.begin(key, ttl_seconds=ttl_seconds, fingerprint=fingerprint)
        except AlreadyDone as done:
            return done.result
        try:
            result = work(claim)
        except Exception:
            self.abandon(claim)
            raise
        self.finish(claim, result)
        return result

    def _begin_again(self, fresh: Item, stands: Item | None, now_ms: int) -> Claim:
        """Take over what *stands*, or say why not."""
        if stands is None:
            # Removed between our two writes, as its time was over.
            raise StillRunning(retry_after_seconds=1)
        # The SDK asked twice because the first answer was lost: the claim that stands is ours.
        if stands["attempt"] == fresh["attempt"]:
            return _claim(stands, taken_over=stands["resourceId"] != fresh["resourceId"])
        if stands["fingerprint"] != fresh["fingerprint"]:
            raise OtherRequest
        if stands["state"] == _DONE:
            raise AlreadyDone(stands["result"])
        if stands["leaseUntil"] + self._settings.skew_allowance_ms >= now_ms:
            raise StillRunning(retry_after_seconds=1)
        try:
            item = self._table.update(
                fresh["pk"],
                _TAKE,
                when="attempt = :dead AND #state = :running",
                values={
                    ":attempt": fresh["attempt"],
                    ":dead": stands["attempt"],
                    ":running": _RUNNING,
                    **_values(fresh),
                },
                names=_NAMES,
            )
        except ConditionFailed as refused:
            # It was not dead, or someone else was sooner: what stands now says which.
            return self._begin_again(fresh, refused.item, now_ms)
        return _claim(item, taken_over=True)

    def _put(self, item: Item, now_ms: int) -> None:
        """Write *item* where no claim stands, or one whose time is over: TTL deletes late."""
        self._table.put(
            item,
            when="attribute_not_exists(pk) OR #ttl < :now",
            values={":now": now_ms // 1000},
            names={"#ttl": "ttl"},
        )

    def _times(self, now_ms: int, ttl_seconds: int) -> Item:
        """Return until when the work is its attempt's, no longer than this invocation lasts, and the claim stands."""
        lease_until = now_ms + deadline.clamp_ms(self._settings.claim_lease_ms)
        # A claim never goes before its lease, however soon a repeat may be forgotten.
        stands_until = max(now_ms + ttl_seconds * 1000, lease_until + self._settings.skew_allowance_ms)
        return {"leaseUntil": lease_until, "ttl": -(-stands_until // 1000)}

    def _now_ms(self) -> int:
        return round(self._now() * 1000)


def _key(key: str) -> str:
    return f"claim#{key}"


def _values(times: Item) -> Item:
    return {":lease": times["leaseUntil"], ":ttl": times["ttl"]}


def _claim(item: Item, *, taken_over: bool) -> Claim:
    return Claim(item["pk"].partition("#")[2], item["attempt"], item["resourceId"], taken_over)


def _expect_done(stands: Item | None, claim: Claim, refused: Exception) -> None:
    """Raise ClaimLost unless what *stands* is this claim's own result: it was asked twice."""
    if stands is None or (stands["state"], stands["attempt"]) != (_DONE, claim.attempt):
        raise ClaimLost from refused
