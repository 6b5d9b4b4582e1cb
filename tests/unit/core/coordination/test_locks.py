"""A fencing token has at most one holder and only grows; a stale holder writes nothing."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chalicelib.core.coordination.errors import GuardedRefused, LockHeld, LockLost
from chalicelib.core.coordination.locks import Lease, Locks
from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import deadline, logs
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores.dynamodb import Table, Write
from tests.support.concurrency import race
from tests.support.faulty_network import Fate, FaultyNetwork, Invocation, Process
from tests.unit.core.conftest import NAME

SKEW_MS = 50
SETTINGS = CoordinationSettings(skew_allowance_ms=SKEW_MS)

NewLocks = Callable[..., Locks]


@pytest.fixture
def process(network: FaultyNetwork, table: Table) -> NewLocks:
    """Make the locks of another process, with a clock ahead by the given skew."""

    def make(skew_ms: int = 0) -> Locks:
        clock = Process(network, skew_ms, booted_ms=skew_ms * 7)
        return Locks(table, SETTINGS, now=clock.now, ticks=clock.ticks, pause=clock.pause)

    return make


@pytest.fixture
def locks(process: NewLocks) -> Locks:
    return process()


def marked(table: Table, mark: str, when: str = "") -> Write:
    return table.update_entry("marked", "SET mark = :mark", when=when, values={":mark": mark})


def test_held_lock_is_not_acquired_again(locks: Locks, process: NewLocks) -> None:
    locks.try_acquire("a", 1000)
    for contender in (locks, process()):
        with pytest.raises(LockHeld):
            contender.try_acquire("a", 1000)
    assert process().try_acquire("b", 1000).fencing_token == 1


def test_refused_acquisition_names_when_the_lock_expires(network: FaultyNetwork, locks: Locks) -> None:
    locks.try_acquire("a", 1000)
    with pytest.raises(LockHeld) as held:
        locks.try_acquire("a", 1000)
    assert held.value.expires_at_ms == network.now_ms() + 1000


def test_expired_lock_is_acquired_only_after_the_skew_allowance(
    network: FaultyNetwork, locks: Locks, process: NewLocks
) -> None:
    # Given
    locks.try_acquire("a", 1000)
    fresh = process()
    # When a clock within the allowance may still read a time before the expiry
    network.ms += 1000 + SKEW_MS
    with pytest.raises(LockHeld):
        fresh.try_acquire("a", 1000)
    # Then a millisecond later no clock does
    network.ms += 1
    assert fresh.try_acquire("a", 1000).fencing_token == 2


def test_fences_grow_through_release_break_cleanup_and_takeover(network: FaultyNetwork, locks: Locks) -> None:
    fences = []
    for end in ("release", "break", "clean up", "take over"):
        lease = locks.try_acquire("a", 1000)
        fences.append(lease.fencing_token)
        if end == "release":
            locks.release(lease)
        elif end == "break":
            assert locks.break_("a")
        else:
            network.ms += 2000
            assert end == "take over" or locks.clean_up() == 1
    assert [*fences, locks.try_acquire("a", 1000).fencing_token] == [1, 2, 3, 4, 5]


def test_a_lock_has_no_ttl_and_is_never_deleted(network: FaultyNetwork, locks: Locks) -> None:
    locks.release(locks.try_acquire("a", 1000))
    item = network.look(NAME, "lock#a") or {}
    assert (item["fence"], "ttl" in item, "owner" in item) == (1, False, False)


def test_a_guarded_write_is_applied_under_its_own_fence(network: FaultyNetwork, locks: Locks, table: Table) -> None:
    locks.guarded(locks.try_acquire("a", 1000), [marked(table, "mine")])
    assert (table.get("marked") or {})["mark"] == "mine"


def test_an_expired_holder_may_write_until_someone_takes_over(
    network: FaultyNetwork, locks: Locks, table: Table
) -> None:
    lease = locks.try_acquire("a", 1000)
    network.ms += 5000
    locks.guarded(lease, [marked(table, "late but alone")])
    locks.try_acquire("a", 1000)
    with pytest.raises(LockLost):
        locks.guarded(lease, [marked(table, "too late")])
    assert (table.get("marked") or {})["mark"] == "late but alone"


@pytest.mark.parametrize("end", ["release", "break", "cleanup", "takeover"])
def test_no_guarded_write_of_a_stale_holder_is_applied(
    network: FaultyNetwork, locks: Locks, table: Table, end: str
) -> None:
    # Given
    lease = locks.try_acquire("a", 1000)
    network.ms += 0 if end == "release" else 2000
    if end == "release":
        locks.release(lease)
    if end == "break":
        locks.break_("a")
    if end == "cleanup":
        locks.clean_up()
    if end == "takeover":
        locks.try_acquire("a", 1000)
    # When, then
    with pytest.raises(LockLost):
        locks.guarded(lease, [marked(table, "stale")])
    assert table.get("marked") is None


def test_failed_guarded_condition_is_not_reported_as_lock_lost(locks: Locks, table: Table) -> None:
    lease = locks.try_acquire("a", 1000)
    with pytest.raises(GuardedRefused):
        locks.guarded(
            lease, [marked(table, "one"), table.update_entry("other", "SET a = :a", when="a = :a", values={":a": 1})]
        )
    assert table.get("marked") is None
    locks.guarded(lease, [marked(table, "two")])


def test_a_stale_holder_neither_extends_nor_releases(network: FaultyNetwork, locks: Locks, process: NewLocks) -> None:
    # Given
    stale = locks.try_acquire("a", 1000)
    network.ms += 2000
    current = process().try_acquire("a", 1000)
    before = network.look(NAME, "lock#a")
    # When
    with pytest.raises(LockLost):
        locks.extend(stale, 9000)
    with pytest.raises(LockLost):
        locks.release(stale)
    # Then
    assert network.look(NAME, "lock#a") == before
    process().guarded(current, [])


def test_a_broken_lock_is_not_released_by_its_holder(locks: Locks) -> None:
    lease = locks.try_acquire("a", 1000)
    assert locks.break_("a")
    assert not locks.break_("a")
    with pytest.raises(LockLost):
        locks.release(lease)
    with pytest.raises(LockLost):
        locks.extend(lease, 1000)


def test_extended_lock_stays_held_until_its_reported_expiry(
    network: FaultyNetwork, locks: Locks, process: NewLocks
) -> None:
    lease = locks.try_acquire("a", 1000)
    assert lease.until == pytest.approx(1.0)
    network.ms += 900
    lease = locks.extend(lease, 1000)
    assert lease.until == pytest.approx(1.9)
    assert lease.fencing_token == 1
    network.ms += 1000 + SKEW_MS
    with pytest.raises(LockHeld):
        process().try_acquire("a", 1000)


def test_shorter_extension_does_not_shorten_the_lease(network: FaultyNetwork, locks: Locks, process: NewLocks) -> None:
    lease = locks.try_acquire("a", 1000)
    assert locks.extend(lease, 10).until == lease.until
    network.ms += 1000
    with pytest.raises(LockHeld):
        process().try_acquire("a", 1000)


def test_late_extension_does_not_shorten_a_newer_one(network: FaultyNetwork, locks: Locks) -> None:
    lease = locks.try_acquire("a", 1000)
    with network.send("extend", [Fate.LATE]), pytest.raises(Unavailable):
        locks.extend(lease, 1000)
    network.ms += 900
    locks.extend(lease, 1000)
    network.deliver()
    assert (network.look(NAME, "lock#a") or {})["expiresAt"] == network.now_ms() + 1000


@pytest.mark.parametrize("skew_ms", [-SKEW_MS, 0, SKEW_MS])
def test_lease_ends_for_its_holder_before_any_takeover(
    network: FaultyNetwork, locks: Locks, process: NewLocks, skew_ms: int
) -> None:
    lease, contender, taken = locks.try_acquire("a", 100), process(skew_ms), None
    while taken is None:
        try:
            taken = contender.try_acquire("a", 100)
        except LockHeld:
            network.ms += 1
    assert network.ms / 1000 > lease.until


def test_lock_lease_is_cut_to_the_invocations_remaining_time(network: FaultyNetwork, locks: Locks) -> None:
    with deadline.bind(Invocation(300)):
        lease = locks.try_acquire("a", 1000)
        assert lease.until == pytest.approx(0.3)
        assert locks.extend(lease, 5000).until == pytest.approx(0.3)
    assert (network.look(NAME, "lock#a") or {})["expiresAt"] == network.now_ms() + 300


@pytest.mark.parametrize("left_ms", [0, -5])
def test_invocation_without_time_left_gets_an_empty_lease(locks: Locks, left_ms: int) -> None:
    with deadline.bind(Invocation(left_ms)):
        assert locks.try_acquire("a", 1000).until == 0


def test_acquisition_retried_after_a_lost_answer_succeeds(network: FaultyNetwork, locks: Locks) -> None:
    with network.send("acquire", [Fate.TWICE]):
        lease = locks.try_acquire("a", 1000)
    assert lease.fencing_token == 1
    locks.guarded(lease, [])


def test_release_retried_after_a_lost_answer_succeeds(network: FaultyNetwork, locks: Locks, process: NewLocks) -> None:
    lease = locks.try_acquire("a", 1000)
    with network.send("release", [Fate.TWICE]):
        locks.release(lease)
    process().try_acquire("a", 1000)
    locks.release(lease)


def test_extension_retried_after_a_lost_answer_succeeds(network: FaultyNetwork, locks: Locks) -> None:
    lease = locks.try_acquire("a", 1000)
    network.ms += 10
    with network.send("extend", [Fate.TWICE]):
        assert locks.extend(lease, 1000).until == pytest.approx(1.01)


def test_copy_of_an_old_acquisition_gives_no_fence_a_second_holder(
    network: FaultyNetwork, locks: Locks, table: Table
) -> None:
    # Given an acquired and released lock, with a copy of the request still under way
    with network.send("acquire", [Fate.ECHO]):
        lease = locks.try_acquire("a", 1000)
    locks.release(lease)
    # When the copy arrives
    network.deliver()
    # Then the copy made a fence of its own, and no writer holds that fence
    with pytest.raises(LockLost):
        locks.guarded(lease, [marked(table, "stale")])
    assert (network.look(NAME, "lock#a") or {})["fence"] == 2


def test_waiting_caller_acquires_the_lock_as_soon_as_it_expires(
    network: FaultyNetwork, locks: Locks, process: NewLocks
) -> None:
    locks.try_acquire("a", 700)
    assert process().acquire("a", 1000, wait_ms=5000).fencing_token == 2
    assert network.ms == 700 + SKEW_MS + 1


def test_waiting_caller_acquires_a_released_lock_within_a_second(
    network: FaultyNetwork, table: Table, locks: Locks
) -> None:
    # Given a holder that releases the lock while the waiter sleeps
    lease = locks.try_acquire("a", 60_000)

    def pause(seconds: float) -> None:
        assert seconds <= 0.25
        network.ms += round(seconds * 1000)
        if network.ms > 400 and (network.look(NAME, "lock#a") or {}).get("owner") == lease.owner:
            locks.release(lease)

    clock = Process(network)
    waiter = Locks(table, SETTINGS, now=clock.now, ticks=clock.ticks, pause=pause)
    # When
    waiter.acquire("a", 1000, wait_ms=5000)
    # Then
    assert network.ms < 1000


def test_waiting_ends_at_its_deadline(network: FaultyNetwork, locks: Locks, process: NewLocks) -> None:
    locks.try_acquire("a", 60_000)
    with pytest.raises(LockHeld):
        process().acquire("a", 1000, wait_ms=300)
    assert 300 <= network.ms <= 301


def test_a_lock_is_held_inside_and_free_afterwards(network: FaultyNetwork, locks: Locks, process: NewLocks) -> None:
    with locks.lock("a", 1000) as lease, pytest.raises(LockHeld):
        process().try_acquire("a", 1000)
    assert lease.fencing_token == 1
    with pytest.raises(ZeroDivisionError), locks.lock("a", 1000):
        _ = 1 / 0
    with locks.lock("a", 1000) as third:
        assert third.fencing_token == 3


@pytest.mark.parametrize(("trouble", "counted"), [("broken", "locksLost"), ("unreachable", "locksLeft"), ("", None)])
def test_failed_release_is_counted_and_not_raised(
    network: FaultyNetwork, locks: Locks, trouble: str, counted: str | None
) -> None:
    with logs.invocation("test") as line, locks.lock("a", 1000):
        if trouble == "broken":
            locks.break_("a")
        if trouble == "unreachable":
            # The next write is the release.
            network._fates = [Fate.LOST]
    assert set(line.counts) == ({counted} if counted else set())


def test_held_locks_are_listed_by_name_and_released_ones_are_not(network: FaultyNetwork, locks: Locks) -> None:
    for name in ("c", "a", "b"):
        locks.try_acquire(name, 1000)
    locks.release(locks.try_acquire("d", 1000))
    held = locks.held()
    assert [holder.name for holder in held] == ["a", "b", "c"]
    assert {(holder.fencing_token, holder.acquired_at_ms, holder.expires_at_ms) for holder in held} == {
        (1, network.now_ms(), network.now_ms() + 1000)
    }


def test_cleanup_releases_only_expired_locks(network: FaultyNetwork, locks: Locks) -> None:
    locks.try_acquire("dead", 1000)
    network.ms += 1000 + SKEW_MS
    living = locks.try_acquire("living", 1000)
    assert locks.clean_up() == 0
    network.ms += 1
    assert locks.clean_up() == 1
    assert [holder.name for holder in locks.held()] == ["living"]
    locks.extend(living, 1000)


def test_cleanup_examines_every_page_of_locks(network: FaultyNetwork, locks: Locks) -> None:
    # More than one page of held locks before the expired lock
    for number in range(100):
        locks.try_acquire(f"a{number:03}", 60_000)
    locks.try_acquire("b", 1000)
    network.ms += 2000
    assert locks.clean_up() == 1
    assert len(locks.held()) == 100


def test_cleanup_spares_a_lock_extended_since_it_was_listed(
    network: FaultyNetwork, locks: Locks, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a list that is out of date, as a list from an index may be
    lease = locks.try_acquire("a", 1000)
    stale = locks.held()
    network.ms += 1500
    locks.extend(lease, 1000)
    monkeypatch.setattr(locks, "held", lambda after: [] if after else stale)
    # When, then
    assert locks.clean_up() == 0
    locks.guarded(lease, [])


def test_of_many_concurrent_acquisitions_one_succeeds(locks: Locks) -> None:
    for fence in range(1, 6):
        results = race([partial(locks.try_acquire, "a", 60_000)] * 16)
        (lease,) = [result for result in results if isinstance(result, Lease)]
        assert lease.fencing_token == fence
        locks.release(lease)


def test_owner_is_new_with_each_acquisition(locks: Locks, network: FaultyNetwork) -> None:
    owners: set[Any] = set()
    for _ in range(20):
        lease = locks.try_acquire("a", 1000)
        owners.add(lease.owner)
        locks.release(lease)
    assert len(owners) == 20
