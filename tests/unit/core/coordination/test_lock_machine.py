"""Locks in any order of events: pauses, takeovers, moving clocks, lost answers, late requests.

The invariants are checked on the stored item after every step.
"""

from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, multiple, precondition, rule

from chalicelib.core.coordination.errors import LockHeld, LockLost
from chalicelib.core.coordination.locks import Lease, Locks
from chalicelib.core.errors import ServiceError, Unavailable
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import Table
from tests.support.faulty_network import EPOCH_MS, Fate, FaultyNetwork, Process, explore
from tests.unit.core.conftest import NAME

SKEW_MS = 50
PROCESSES = 3
#: A table is shared by all examples, and no name is used by two.
EXAMPLES = count()

TTLS = st.sampled_from([1, 60, 200])
FATES = st.sampled_from([[], [], *([fate] for fate in Fate)])


class Held(NamedTuple):
    """A lease and its process; kept for ever, as a paused holder keeps its lease."""

    process: int
    lease: Lease


class Machine(RuleBasedStateMachine):
    """One lock, one guarded counter, three processes whose clocks are up to *skew_ms* ahead of the network's."""

    leases = Bundle("leases")

    def __init__(self, client: Any, skew_ms: int) -> None:
        super().__init__()
        self.network, self.skew_ms = FaultyNetwork(client), skew_ms
        self.table = Table(self.network, NAME)
        self.name = f"machine-{next(EXAMPLES)}"
        self.processes = [Process(self.network, booted_ms=1000 * number) for number in range(PROCESSES)]
        options = CoordinationSettings(skew_allowance_ms=SKEW_MS)
        self.locks = [Locks(self.table, options, now=clock.now, ticks=clock.ticks) for clock in self.processes]
        #: The stored item after the last step.
        self.item: Item = {}
        self.writes = 0
        #: The owner of each fence; the expiry reported to its holder, in the network's time.
        self.owners: dict[int, str] = {}
        self.reported_ms: dict[int, int] = {}
        #: Owners that released the lock, or whose lock was broken.
        self.gone: set[str] = set()

    @rule(milliseconds=st.sampled_from([1, 7, 49, 50, 51, 60, 110, 111, 251, 1000]))
    def time_passes(self, milliseconds: int) -> None:
        self.network.ms += milliseconds

    @precondition(lambda self: "expiresAt" in self.item)
    @rule(beyond_ms=st.sampled_from([0, 1, SKEW_MS, SKEW_MS + 1]))
    def the_end_comes(self, beyond_ms: int) -> None:
        """Time passes to one of the moments around which a lock changes hands."""
        self.network.ms = max(self.network.ms, self.item["expiresAt"] + beyond_ms - EPOCH_MS)

    @rule(process=st.integers(0, PROCESSES - 1), share=st.sampled_from([0, 0.5, 1]))
    def clock_is_set(self, process: int, share: float) -> None:
        self.processes[process].skew_ms = round(self.skew_ms * share)

    @rule(target=leases, process=st.integers(0, PROCESSES - 1), ttl_ms=TTLS, fates=FATES)
    def acquire(self, process: int, ttl_ms: int, fates: list[Fate]) -> Held | MultipleResults[Held]:
        dead_ms = self.network.now_ms() + self.processes[process].skew_ms - SKEW_MS
        free = "owner" not in self.item or self.item["expiresAt"] < dead_ms
        try:
            with self.network.send("acquire", fates):
                lease = self.locks[process].try_acquire(self.name, ttl_ms)
        except LockHeld:
            assert not free
            self.look("acquire")
            return multiple()
        except Unavailable:
            assert fates
            self.look("acquire")
            return multiple()
        assert free
        self.look("acquire")
        assert (self.item["owner"], self.item["fence"]) == (lease.owner, lease.fencing_token)
        self.note_lease(process, lease)
        return Held(process, lease)

    @rule(target=leases, held=leases, ttl_ms=TTLS, fates=FATES)
    def extend(self, held: Held, ttl_ms: int, fates: list[Fate]) -> Held | MultipleResults[Held]:
        ours = self.ours(held.lease)
        try:
            with self.network.send("extend", fates):
                lease = self.locks[held.process].extend(held.lease, ttl_ms)
        except ServiceError as error:
            self.judge(error, ours=ours, fates=fates)
            self.look("extend")
            return multiple()
        assert ours
        assert lease.until >= self.processes[held.process].ticks() + ttl_ms / 1000 - 1e-6
        self.look("extend")
        self.note_lease(held.process, lease)
        return Held(held.process, lease)

    @rule(held=leases, fates=FATES)
    def release(self, held: Held, fates: list[Fate]) -> None:
        ours = self.ours(held.lease) or self.item.get("released") == held.lease.owner
        self.gone.add(held.lease.owner)
        try:
            with self.network.send("release", fates):
                self.locks[held.process].release(held.lease)
        except ServiceError as error:
            self.judge(error, ours=ours, fates=fates)
        else:
            assert ours
        self.look("release")

    @rule(held=leases, fates=FATES)
    def write_under_guard(self, held: Held, fates: list[Fate]) -> None:
        ours = self.ours(held.lease)
        counter = f"count#{self.name}"
        entry = self.table.update_entry(counter, "ADD writes :one SET fence = :fence", values={":one": 1, ":fence": 0})
        entry["Update"]["ExpressionAttributeValues"][":fence"] = {"N": str(held.lease.fencing_token)}
        try:
            with self.network.send("write", fates):
                self.locks[held.process].guarded(held.lease, [entry])
        except ServiceError as error:
            self.judge(error, ours=ours, fates=fates)
            self.writes += ours and Fate.LOST in fates
        else:
            assert ours
            self.writes += 1
        self.count()

    @rule(fates=FATES)
    def break_it(self, fates: list[Fate]) -> None:
        with suppress(Unavailable), self.network.send("break", fates):
            self.locks[0].break_(self.name)
        self.look("break")

    @rule(process=st.integers(0, PROCESSES - 1), fates=FATES)
    def clean_up(self, process: int, fates: list[Fate]) -> None:
        with suppress(Unavailable), self.network.send("clean up", fates):
            self.locks[process].clean_up()
        self.look("clean up")

    @precondition(lambda self: self.network.underway)
    @rule()
    def a_late_request_arrives(self) -> None:
        before = dict(self.item)
        doing = self.network.deliver()
        if doing == "write":
            # The counter holds the fence of its last write, which must be the current fence.
            written = self.counter()
            assert written.get("writes", 0) in {self.writes, self.writes + 1}
            if written.get("writes", 0) > self.writes:
                assert written["fence"] == before["fence"]
                assert "owner" in before
                self.writes += 1
        self.look(doing)
        self.count()

    def teardown(self) -> None:
        # Cleanup examines every lock of the table: a lock left held would affect the next example.
        self.locks[0].break_(self.name)

    def ours(self, lease: Lease) -> bool:
        return (self.item.get("owner"), self.item.get("fence")) == (lease.owner, lease.fencing_token)

    def judge(self, error: ServiceError, *, ours: bool, fates: Iterable[Fate]) -> None:
        """Check that `LockLost` is raised only for a lost lock, and `Unavailable` only for a network fault."""
        if isinstance(error, LockLost):
            assert not ours
        else:
            assert isinstance(error, Unavailable)
            assert {Fate.LOST, Fate.LATE} & set(fates)

    def note_lease(self, process: int, lease: Lease) -> None:
        until_ms = self.processes[process].until_ms(lease.until)
        self.reported_ms[lease.fencing_token] = max(until_ms, self.reported_ms.get(lease.fencing_token, 0))
        self.check_reported()

    def check_reported(self) -> None:
        """Check that no holder was given more time than is stored, by the slowest clock."""
        if "owner" in self.item:
            assert self.reported_ms.get(self.item["fence"], 0) <= self.item["expiresAt"]

    def look(self, doing: str) -> None:
        """Read the item, and check that its change from the last step is a legal one."""
        before, after = self.item, self.network.look(NAME, f"lock#{self.name}") or {}
        self.item = after
        assert "ttl" not in after
        assert after.get("fence", 0) >= before.get("fence", 0)
        owner, last = after.get("owner"), before.get("owner")
        if owner is not None:
            # Never two holders of one fence.
            assert self.owners.setdefault(after["fence"], owner) == owner
        if owner is not None and (owner, after["fence"]) != (last, before.get("fence")):
            assert after["fence"] == before.get("fence", 0) + 1
        if last is not None and last != owner:
            if doing in {"break", "release"}:
                self.gone.add(last)
            elif last not in self.gone and self.skew_ms <= SKEW_MS:
                # The holder's lease ended for the holder before any other process could take over.
                assert self.network.now_ms() > self.reported_ms.get(before["fence"], 0)
        self.check_reported()

    def counter(self) -> Item:
        return self.network.look(NAME, f"count#{self.name}") or {}

    def count(self) -> None:
        assert self.counter().get("writes", 0) == self.writes


@pytest.mark.parametrize("skew_ms", [SKEW_MS, 40 * SKEW_MS], ids=["clocks within the allowance", "clocks far apart"])
def test_no_order_of_events_breaks_a_lock(dynamodb: Any, skew_ms: int) -> None:
    explore(lambda: Machine(dynamodb, skew_ms), examples=30, steps=30)
