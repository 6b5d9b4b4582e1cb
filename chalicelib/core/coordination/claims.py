"""Claims (idempotency records): a piece of work is done once, also if an attempt dies half-way.

A claim is ``running`` and then ``done`` with its result; only the attempt that holds the claim may finish the claim.
The claim stores the id of the resource before the work begins, so a later attempt makes the same resource. The TTL says
how long a repeat is recognised; readers check the TTL themselves.
"""

from collections.abc import Callable, Iterable, Sequence
from time import time
from typing import Any, NamedTuple

from chalicelib.core.coordination.errors import AlreadyDone, ClaimLost, GuardedRefused, OtherRequest, StillRunning
from chalicelib.core.runtime import deadline, ids
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed, Table, TransactionRefused, Write

_RUNNING, _DONE = "running", "done"
_FAILED = "ConditionalCheckFailed"
#: The end of an abandoned lease: before every moment, and told apart from the end of a dead attempt's lease.
_ABANDONED = 0
_NAMES = {"#state": "state", "#ttl": "ttl"}
_HELD_BY_ATTEMPT = "attempt = :attempt AND #state = :running"
#: Renews the TTL too: a claim must not expire during the work.
_TAKE = "SET attempt = :attempt, leaseUntil = :lease, #ttl = :ttl"


class Claim(NamedTuple):
    """A right of this attempt to do the work. All attempts have the *resource_id* of the first attempt.

    *taken_over*: an earlier attempt failed or died, perhaps after doing the work. *failures* is the number of attempts
    that died, or were abandoned as failed, since the claim was begun or reopened. The death of an attempt that
    `Claims.begin_new` began is not counted.
    """

    key: str
    attempt: str
    resource_id: str
    taken_over: bool = False
    failures: int = 0


class Claims:
    """Claims by key. A key names the work: a business id, never the id of a delivery."""

    def __init__(self, table: Table, settings: CoordinationSettings, *, now: Callable[[], float] = time) -> None:
        self._table, self._settings, self._now = table, settings, now

    def begin(
        self, key: str, *, ttl_seconds: int, fingerprint: str = "", former: Callable[[], str] | None = None
    ) -> Claim:
        """Claim work that is neither done nor running. Atomic.

        If the lease of a running attempt has expired, the claim is taken over at once. *fingerprint* is kept with the
        claim; a repeat must have the same fingerprint. *former* returns the fingerprint that earlier versions kept for
        the same work: such a claim is recognised, and no new claim keeps it.

        Raises:
            AlreadyDone: the work is done; the error carries the result.
            StillRunning: another attempt holds an unexpired lease.
            OtherRequest: the key was used with another fingerprint.
        """
        now_ms = self._now_ms()
        fresh = self._fresh(key, fingerprint, now_ms, ttl_seconds)
        try:
            self._put(fresh, now_ms)
        except ConditionFailed as refused:
            stored = refused.item or {}
            if former and stored.get("fingerprint") not in {None, fingerprint} and stored["fingerprint"] == former():
                fresh["fingerprint"] = stored["fingerprint"]
            return self._take_over(fresh, refused.item, now_ms)
        return Claim(key, fresh["attempt"], fresh["resourceId"])

    def begin_new(self, keys: Sequence[str], *, ttl_seconds: int) -> dict[str, Claim]:
        """Claim the work of each key that has no claim, in one transaction; return the claims by key. At most 100 keys.

        A key with a claim is left out, and so is a key that remains alone: `begin` decides about them.

        Raises:
            Unavailable: the claims were made or not. Their leases end as if the attempts had died.
        """
        now_ms = self._now_ms()
        # One of these works may kill the attempts of all, so a death tells nothing about a single work.
        fresh = [self._fresh(key, "", now_ms, ttl_seconds) | {"inBatch": True} for key in keys]
        return {claim.key: claim for claim in map(_claim, self._put_new(fresh))}

    def reopen(self, key: str, result: str, *, ttl_seconds: int) -> Claim:
        """Claim finished work with the result *result* again, to do the work once more.

        Atomic: of many callers with the same *result*, one gets the claim. A repeat is recognised as after `begin`.

        Raises:
            StillRunning: another caller has reopened the claim, and may have finished the work since.
        """
        attempt, times = ids.new_id(), self._times(self._now_ms(), ttl_seconds)
        try:
            item = self._table.update(
                _key(key),
                f"{_TAKE}, #state = :running REMOVE #result, failures, inBatch",
                when="#state = :done AND #result = :seen",
                values={":attempt": attempt, ":running": _RUNNING, ":done": _DONE, ":seen": result, **_values(times)},
                names={**_NAMES, "#result": "result"},
            )
        except ConditionFailed as refused:
            item = refused.item or {}
            # The SDK repeated the write after a lost response: the stored claim is this attempt's.
            if item.get("attempt") != attempt:
                raise StillRunning(retry_after_seconds=1) from refused
        return Claim(key, attempt, item["resourceId"], taken_over=True)

    def finish(self, claim: Claim, result: str, also: Iterable[Write] = ()) -> None:
        """Store *result*; apply *also* in the same transaction. Safe to repeat.

        Raises:
            ClaimLost: another attempt has taken over the claim; nothing was written.
            GuardedRefused: a condition of *also* did not hold; nothing was written.
        """
        try:
            if writes := list(also):
                self._table.transact([self._table.update_entry(**_finishing(claim, result)), *writes])
            else:
                self._table.change(**_finishing(claim, result))
        except TransactionRefused as refused:
            own = refused.reasons[0]
            if own.code != _FAILED:
                raise GuardedRefused from refused
            _expect_done(own.item, claim, refused)
        except ConditionFailed as refused:
            _expect_done(refused.item, claim, refused)

    def finish_new(self, claims: Sequence[Claim], result: str, also: Sequence[Write] = (), *, ttl_seconds: int) -> None:
        """Store *result* with each of *claims*, and apply *also*, in one transaction of at most 100 writes.

        *claims* are of `begin_new`. Safe to repeat. A `finish` of each claim may follow, and writes what is missing.

        Raises:
            ClaimLost: a claim was taken over, or a condition of *also* did not hold; nothing was written.
        """
        ttl = self._times(self._now_ms(), ttl_seconds)["ttl"]
        try:
            self._table.transact([*(self._done_entry(claim, result, ttl) for claim in claims), *also])
        except TransactionRefused as refused:
            for claim, reason in zip(claims, refused.reasons, strict=False):
                _expect_done(reason.item, claim, refused)

    def abandon(self, claim: Claim, *, failed: bool = False) -> None:
        """End the lease, so that another attempt may begin at once, with the same resource id. Safe to repeat.

        *failed*: the attempt counts in `Claim.failures` of later attempts.
        """
        try:
            self._table.change(
                _key(claim.key),
                "SET leaseUntil = :abandoned, failures = :failures",
                when=_HELD_BY_ATTEMPT,
                values={
                    ":attempt": claim.attempt,
                    ":running": _RUNNING,
                    ":abandoned": _ABANDONED,
                    ":failures": claim.failures + failed,
                },
                names={"#state": "state"},
            )
        except ConditionFailed:
            return

    def once(self, key: str, work: Callable[[Claim], str], *, ttl_seconds: int, fingerprint: str = "") -> str:
        """Run *work* and return the result; if the work is done already, return the stored result.

        *work* may run again after a crash, with the same `Claim.resource_id`, and must use the id for the resource.

        Raises:
            StillRunning, OtherRequest: as `begin`.
            ClaimLost: *work* exceeded its lease, and another attempt has taken over the claim.
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

    def _take_over(self, fresh: Item, stored: Item | None, now_ms: int) -> Claim:
        """Take over the claim *stored*, or raise the reason against a takeover."""
        if stored is None:
            # The TTL removed the claim between the two writes.
            raise StillRunning(retry_after_seconds=1)
        # The SDK repeated the write after a lost response: the stored claim is this attempt's.
        if stored["attempt"] == fresh["attempt"]:
            return _claim(stored, taken_over=stored["resourceId"] != fresh["resourceId"])
        if stored["fingerprint"] != fresh["fingerprint"]:
            raise OtherRequest
        if stored["state"] == _DONE:
            raise AlreadyDone(stored["result"])
        if stored["leaseUntil"] + self._settings.skew_allowance_ms >= now_ms:
            raise StillRunning(retry_after_seconds=1)
        try:
            item = self._table.update(
                fresh["pk"],
                f"{_TAKE}, failures = :failures REMOVE inBatch",
                when="attempt = :dead AND leaseUntil = :ended AND #state = :running",
                values={
                    ":attempt": fresh["attempt"],
                    ":dead": stored["attempt"],
                    ":ended": stored["leaseUntil"],
                    ":running": _RUNNING,
                    ":failures": stored.get("failures", 0)
                    + (stored["leaseUntil"] != _ABANDONED and "inBatch" not in stored),
                    **_values(fresh),
                },
                names=_NAMES,
            )
        except ConditionFailed as refused:
            # The attempt was alive, or another took over first: the current claim decides.
            return self._take_over(fresh, refused.item, now_ms)
        return _claim(item, taken_over=True)

    def _put_new(self, fresh: list[Item]) -> list[Item]:
        """Put those of *fresh* that have no claim, in one transaction, unless fewer than two remain; return them."""
        if len(fresh) < 2:  # noqa: PLR2004 # one write is cheaper outside a transaction
            return []
        try:
            self._table.transact([self._table.put_entry(item, when="attribute_not_exists(pk)") for item in fresh])
        except TransactionRefused as refused:
            found = list(zip(fresh, refused.reasons, strict=True))
            # The SDK repeated the transaction after a lost response: all claims are these attempts' own.
            if not any(reason.item and reason.item["attempt"] == item["attempt"] for item, reason in found):
                return self._put_new([item for item, reason in found if reason.code != _FAILED])
        return fresh

    def _done_entry(self, claim: Claim, result: str, ttl: int) -> Write:
        # The whole item is known, and a put is less work than an update.
        done: Item = {"pk": _key(claim.key), "state": _DONE, "attempt": claim.attempt, "resourceId": claim.resource_id}
        done |= {"fingerprint": "", "result": result, "ttl": ttl}
        held = {":attempt": claim.attempt, ":running": _RUNNING}
        return self._table.put_entry(done, when=_HELD_BY_ATTEMPT, values=held, names={"#state": "state"})

    def _put(self, item: Item, now_ms: int) -> None:
        """Write *item* unless there is an unexpired claim. DynamoDB deletes expired items late."""
        self._table.put(
            item,
            when="attribute_not_exists(pk) OR #ttl < :now",
            values={":now": now_ms // 1000},
            names={"#ttl": "ttl"},
        )

    def _fresh(self, key: str, fingerprint: str, now_ms: int, ttl_seconds: int) -> Item:
        return {
            "pk": _key(key),
            "state": _RUNNING,
            "attempt": ids.new_id(),
            "resourceId": ids.new_id(),
            "fingerprint": fingerprint,
            **self._times(now_ms, ttl_seconds),
        }

    def _times(self, now_ms: int, ttl_seconds: int) -> Item:
        """Return the end of the lease, clamped to the invocation's remaining time, and the TTL of the claim."""
        lease_until = now_ms + deadline.clamp_ms(self._settings.claim_lease_ms)
        # A claim outlives its lease, even if the caller asks for a shorter TTL.
        stands_until = max(now_ms + ttl_seconds * 1000, lease_until + self._settings.skew_allowance_ms)
        return {"leaseUntil": lease_until, "ttl": -(-stands_until // 1000)}

    def _now_ms(self) -> int:
        return round(self._now() * 1000)


def _key(key: str) -> str:
    return f"claim#{key}"


def _values(times: Item) -> Item:
    return {":lease": times["leaseUntil"], ":ttl": times["ttl"]}


def _finishing(claim: Claim, result: str) -> dict[str, Any]:
    """Return the arguments of the update that finishes *claim*."""
    return {
        "pk": _key(claim.key),
        "change": "SET #state = :done, #result = :result REMOVE leaseUntil",
        "when": _HELD_BY_ATTEMPT,
        "values": {":attempt": claim.attempt, ":running": _RUNNING, ":done": _DONE, ":result": result},
        "names": {"#state": "state", "#result": "result"},
    }


def _claim(item: Item, *, taken_over: bool = False) -> Claim:
    key = item["pk"].partition("#")[2]
    return Claim(key, item["attempt"], item["resourceId"], taken_over, item.get("failures", 0))


def _expect_done(stored: Item | None, claim: Claim, refused: Exception) -> None:
    """Raise ClaimLost unless *stored* has this claim's own result, from a repeated request."""
    if stored is None or (stored["state"], stored["attempt"]) != (_DONE, claim.attempt):
        raise ClaimLost from refused
