"""Locks: at most one holder of a fencing token, and fencing tokens that only grow, for ever.

An item is never deleted and has no TTL: releasing clears the owner and keeps the fencing token. Acquiring is one
conditional update. Safety rests on `guarded` and not on clocks: the transaction demands the holder's own token (M.
Kleppmann, "How to do distributed locking", 2016; C. Gray and D. Cheriton, "Leases", SOSP 1989). Clocks decide only when
others may take over an expired lock. A holder counts from before the request, so the holder knows of the expiry first.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic, sleep, time

from chalicelib.core.coordination.errors import GuardedRefused, LockHeld, LockLost
from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import deadline, ids, logs
from chalicelib.core.runtime.backoff import Backoff
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed, Table, TransactionRefused, Write

_HELD = "lock"
_HELD_BY_LEASE = "#owner = :owner AND fence = :fence"
_NAMES = {"#owner": "owner"}
#: Each poll is a write, hence the shortest pause.
_POLLS = Backoff(shortest_seconds=0.01, first_seconds=0.02, longest_seconds=0.25)


@dataclass(frozen=True, slots=True)
class Lease:
    """A held lock. The lease lasts at least until *until*, in seconds of this process's monotonic clock."""

    name: str
    owner: str
    fencing_token: int
    until: float


@dataclass(frozen=True, slots=True)
class Holder:
    """The current holder of a lock, as shown to operators."""

    name: str
    owner: str
    fencing_token: int
    acquired_at_ms: int
    expires_at_ms: int


class Locks:
    """Locks by name."""

    def __init__(
        self,
        table: Table,
        settings: CoordinationSettings,
        *,
        now: Callable[[], float] = time,
        ticks: Callable[[], float] = monotonic,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        """Keep locks in *table*. *now* is the wall clock, *ticks* the monotonic clock, both in seconds."""
        self._table, self._skew_ms = table, settings.skew_allowance_ms
        self._now, self._ticks, self._pause = now, ticks, pause

    def try_acquire(self, name: str, ttl_ms: int) -> Lease:
        """Acquire the lock if the lock is free, or expired by more than the skew allowance. Atomic; one write.

        The lease is clamped to the invocation's remaining time, so no lock outlives its function.

        Raises:
            LockHeld: another owner holds the lock.
        """
        ttl_ms = deadline.clamp_ms(ttl_ms)
        began, now_ms = self._ticks(), self._now_ms()
        owner = f"{ids.INSTANCE_ID}/{ids.new_id()}"
        try:
            item = self._table.update(
                _key(name),
                "SET #owner = :owner, expiresAt = :expires, acquiredAt = :now, held = :held ADD fence :one",
                when="attribute_not_exists(#owner) OR expiresAt < :dead",
                values={
                    ":owner": owner,
                    ":expires": now_ms + ttl_ms,
                    ":now": now_ms,
                    ":dead": now_ms - self._skew_ms,
                    ":held": _HELD,
                    ":one": 1,
                },
                names=_NAMES,
            )
        except ConditionFailed as refused:
            item = refused.item or {}
            # The SDK repeated the write after a lost response: the first write acquired the lock.
            if item.get("owner") != owner:
                raise LockHeld(name, item["expiresAt"]) from None
        return Lease(name, owner, item["fence"], began + ttl_ms / 1000)

    def acquire(self, name: str, ttl_ms: int, wait_ms: int) -> Lease:
        """Acquire the lock within *wait_ms*. Polls at random intervals, and right after the current lease expires.

        Raises:
            LockHeld: the lock was still held at the end.
        """
        give_up, failures = self._ticks() + wait_ms / 1000, 0
        while True:
            try:
                return self.try_acquire(name, ttl_ms)
            except LockHeld as held:
                left = give_up - self._ticks()
                if left <= 0:
                    raise
                free_in = (held.expires_at_ms + self._skew_ms + 1 - self._now_ms()) / 1000
            failures += 1
            self._pause(max(0.001, min(_POLLS.seconds(failures), free_in, left)))

    def extend(self, lease: Lease, ttl_ms: int) -> Lease:
        """Return *lease* with at least *ttl_ms* from now. Atomic; the fencing token stays; a lease is never shortened.

        Raises:
            LockLost: the lock was released, broken or taken over. After any other error the lease holds until
                `Lease.until`, which passes before others may take over.
        """
        ttl_ms = deadline.clamp_ms(ttl_ms)
        began, expires_ms = self._ticks(), self._now_ms() + ttl_ms
        # A lease only grows: a delayed request may arrive after a later request.
        later = f"{_HELD_BY_LEASE} AND expiresAt < :expires"
        try:
            self._change(lease, "SET expiresAt = :expires", when=later, expires=expires_ms)
        except ConditionFailed as refused:
            if not _holds(refused.item, lease):
                raise LockLost from refused
        return replace(lease, until=max(lease.until, began + ttl_ms / 1000))

    def release(self, lease: Lease) -> None:
        """Release the lock and keep the fencing token. Atomic; safe to repeat.

        Raises:
            LockLost: the lock was taken over or broken; its state is left unchanged.
        """
        try:
            self._change(lease, "SET released = :owner REMOVE #owner, expiresAt, acquiredAt, held")
        except ConditionFailed as refused:
            # The SDK repeated the write after a lost response: the first write released the lock.
            if (refused.item or {}).get("released") != lease.owner:
                raise LockLost from refused

    @contextmanager
    def lock(self, name: str, ttl_ms: int, *, wait_ms: int = 0) -> Iterator[Lease]:
        """Hold the lock during the block. Writes that depend on the lock must go through `guarded`.

        A failed release raises nothing and undoes nothing: the lock then becomes free when its lease expires.

        Raises:
            LockHeld: the lock could not be acquired within *wait_ms*.
        """
        lease = self.acquire(name, ttl_ms, wait_ms)
        try:
            yield lease
        finally:
            try:
                self.release(lease)
            except LockLost:
                logs.line().count("locksLost")
            except Unavailable:
                logs.line().count("locksLeft")

    def guarded(self, lease: Lease, writes: Iterable[Write]) -> None:
        """Apply *writes* in one transaction that demands the owner and fencing token of *lease*. All or nothing.

        The equality is the guarantee: a holder paused beyond its lease writes nothing, whatever its clock says.

        Raises:
            LockLost: the lock was released, broken or taken over; nothing was written.
            GuardedRefused: a condition of *writes* did not hold; nothing was written.
        """
        check = self._table.check(
            _key(lease.name),
            when=_HELD_BY_LEASE,
            values={":owner": lease.owner, ":fence": lease.fencing_token},
            names=_NAMES,
        )
        try:
            self._table.transact([check, *writes])
        except TransactionRefused as refused:
            lost = refused.reasons[0].code == "ConditionalCheckFailed"
            raise (LockLost if lost else GuardedRefused) from refused

    def held(self, limit: int = 100, *, after: str = "") -> list[Holder]:
        """Return up to *limit* held locks, in the order of names, beyond the name *after*.

        Includes expired locks that were neither taken over nor cleaned up.
        """
        found = self._table.query("by-held", "held", _HELD, after=_key(after), limit=limit)
        return [_holder(item) for item in found]

    def break_(self, name: str) -> bool:
        """Take the lock from its holder, whose guarded writes fail from now on. Returns whether the lock was held."""
        return self._clear(name, "attribute_exists(#owner)", {})

    def clean_up(self) -> int:
        """Clear expired locks; return the number. Only tidies `held`: an expired lock can be taken over anyway."""
        dead_ms, cleared, after = self._now_ms() - self._skew_ms, 0, ""
        while page := self.held(after=after):
            dead = [holder.name for holder in page if holder.expires_at_ms < dead_ms]
            cleared += sum(self._clear(name, "expiresAt < :dead", {":dead": dead_ms}) for name in dead)
            after = page[-1].name
        return cleared

    def _clear(self, name: str, when: str, values: Item) -> bool:
        try:
            self._table.change(
                _key(name), "REMOVE #owner, expiresAt, acquiredAt, held", when=when, values=values, names=_NAMES
            )
        except ConditionFailed:
            return False
        return True

    def _change(self, lease: Lease, change: str, *, when: str = _HELD_BY_LEASE, **values: int) -> None:
        own = {":owner": lease.owner, ":fence": lease.fencing_token}
        given = {f":{name}": value for name, value in values.items()}
        self._table.change(_key(lease.name), change, when=when, values={**own, **given}, names=_NAMES)

    def _now_ms(self) -> int:
        return round(self._now() * 1000)


def _key(name: str) -> str:
    return f"lock#{name}"


def _holds(item: Item | None, lease: Lease) -> bool:
    return item is not None and (item.get("owner"), item["fence"]) == (lease.owner, lease.fencing_token)


def _holder(item: Item) -> Holder:
    return Holder(item["pk"].partition("#")[2], item["owner"], item["fence"], item["acquiredAt"], item["expiresAt"])
