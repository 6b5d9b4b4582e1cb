"""A fencing token of a lock has at most one holder, and tokens only grow. A guarded write commits only under the
current token.

Shown by 64 threads and by killed processes at one lock of the deployed table.
tests/unit/core/coordination/test_lock_machine.py tests random orders of events, with clocks that disagree.
"""

import random
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from chalicelib.core.coordination.errors import LockHeld, LockLost
from chalicelib.core.coordination.locks import Lease, Locks
from chalicelib.core.stores.dynamodb import Table
from infra.local.stack import Stack
from tests.support.client import at_once
from tests.support.coordination import SETTINGS, THREADS, call_from_all_threads
from tests.support.lock_holder import LockHolder

pytestmark = pytest.mark.stack


def test_racing_acquisitions_have_one_holder_with_a_new_fence(locks: Locks, name: str) -> None:
    for round_ in range(1, 16):
        results = call_from_all_threads(partial(locks.try_acquire, name, 60_000))
        (lease,) = [result for result in results if isinstance(result, Lease)]
        assert sum(isinstance(result, LockHeld) for result in results) == THREADS - 1
        assert lease.fencing_token == round_
        locks.release(lease)


def test_sixty_four_waiters_hold_the_lock_in_turn(locks: Locks, name: str) -> None:
    # Given
    inside, fences = threading.Lock(), []

    def hold() -> None:
        with locks.lock(name, 60_000, wait_ms=60_000) as lease:
            # Not the lock under test but a witness: no other holder may be inside.
            assert inside.acquire(blocking=False)
            fences.append(lease.fencing_token)
            inside.release()

    # When
    at_once([hold] * THREADS)
    # Then
    assert fences == list(range(1, THREADS + 1))


def test_racing_takeovers_of_an_expired_lock_have_one_winner(locks: Locks, name: str) -> None:
    for _ in range(5):
        fence = locks.acquire(name, 1, wait_ms=5000).fencing_token
        # The lock's time to live and the skew allowance.
        time.sleep((1 + SETTINGS.skew_allowance_ms + 10) / 1000)
        results = call_from_all_threads(partial(locks.try_acquire, name, 60_000))
        (lease,) = [result for result in results if isinstance(result, Lease)]
        assert lease.fencing_token == fence + 1
        locks.release(lease)


def test_guarded_increments_are_not_lost_to_stale_holders(locks: Locks, table: Table, name: str) -> None:
    # Given a count that only the lock protects, incremented by a read and a write
    applied: list[int] = []

    def increment() -> None:
        for _ in range(6):
            lease = locks.acquire(name, 40, wait_ms=60_000)
            count = (table.get(f"count#{name}") or {}).get("n", 0)
            # A third of the holders pause for longer than the lease and the skew allowance.
            time.sleep(random.choice([0, 0.01, 0.15]))
            write = table.update_entry(f"count#{name}", "SET n = :n", values={":n": count + 1})
            try:
                locks.guarded(lease, [write])
                applied.append(lease.fencing_token)
                locks.release(lease)
            except LockLost:
                continue

    # When
    at_once([increment] * 16)
    # Then every acknowledged write was applied, on top of all writes before
    assert applied
    assert len(set(applied)) == len(applied)
    assert (table.get(f"count#{name}") or {})["n"] == len(applied)


def test_guarded_writes_commit_under_the_current_token_alone(locks: Locks, table: Table, name: str) -> None:
    stale = [locks.acquire(name, 1, wait_ms=5000) for _ in range(8)]
    current = locks.acquire(name, 60_000, wait_ms=5000)
    write = table.update_entry(f"count#{name}", "ADD n :one", values={":one": 1})
    outcomes = at_once([partial(_guarded, locks, lease, write) for lease in [*stale, current] * 4])
    assert outcomes == ([False] * len(stale) + [True]) * 4
    assert (table.get(f"count#{name}") or {})["n"] == 4


def _guarded(locks: Locks, lease: Lease, write: Any) -> bool:
    try:
        locks.guarded(lease, [write])
    except LockLost:
        return False
    return True


@pytest.fixture
def held(stack: Stack, name: str) -> Iterator[LockHolder]:
    with LockHolder(stack.environment, name, ttl_ms=1500) as holder:
        yield holder


def test_a_killed_holders_lock_is_taken_over_after_its_expiry(
    stack: Stack, locks: Locks, table: Table, name: str, held: LockHolder
) -> None:
    # Given
    first = held.has()
    dead = Lease(name, first.owner, first.fencing_token, until=0)
    expires_at_ms = (table.get(f"lock#{name}") or {})["expiresAt"]
    # When
    held.kill()
    with LockHolder(stack.environment, name, ttl_ms=60_000, wait_ms=20_000) as heir:
        second = heir.has()
        # Then the second lease began after the first had expired, and every use of the first fails
        assert second.fencing_token == first.fencing_token + 1
        assert second.at * 1000 > expires_at_ms + SETTINGS.skew_allowance_ms
        for stale in (locks.release, partial(locks.extend, ttl_ms=1000), partial(locks.guarded, writes=[])):
            with pytest.raises(LockLost):
                stale(dead)
        locks.guarded(Lease(name, second.owner, second.fencing_token, until=0), [])
