"""Many threads and processes at one lock, one claim, one rate of the deployed table."""

import random
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.coordination.errors import AlreadyDone, LockHeld, LockLost, StillRunning
from chalicelib.core.coordination.locks import Lease, Locks
from chalicelib.core.coordination.rates import Limit, Rates
from chalicelib.core.errors import ServiceError
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores.dynamodb import Table
from infra.local.stack import Stack
from tests.support.client import together
from tests.support.lock_holder import Holder
from tests.support.stack import STAGE

pytestmark = pytest.mark.stack

THREADS = 64
SETTINGS = CoordinationSettings()


@pytest.fixture(scope="module")
def client(stack: Stack) -> Any:
    """DynamoDB as it is deployed, with a connection for each thread."""
    keys = stack.environment
    return botocore.session.Session().create_client(
        "dynamodb",
        endpoint_url=stack.endpoint_url,
        region_name=keys["AWS_REGION"],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        config=Config(max_pool_connections=THREADS, retries={"mode": "standard", "total_max_attempts": 2}),
    )


@pytest.fixture(scope="module")
def table(client: Any) -> Table:
    return Table(client, f"holdfast-{STAGE}-coordination")


@pytest.fixture(scope="module")
def locks(table: Table) -> Locks:
    return Locks(table, SETTINGS)


@pytest.fixture(scope="module")
def claims(table: Table) -> Claims:
    return Claims(table, SETTINGS)


@pytest.fixture
def name(client: Any) -> str:
    """A name that nobody else uses."""
    return f"n-{secrets.token_hex(6)}"


class Twice:
    """A client whose first answers are all lost, and which asks again as the SDK does."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, operation: str) -> Any:
        call = getattr(self._client, operation)

        def twice(**arguments: Any) -> Any:
            # Whatever it was, nobody heard it.
            with suppress(self._client.exceptions.ClientError):
                call(**arguments)
            return call(**arguments)

        return twice


def attempts(call: Any) -> list[Any]:
    """Make the call from all threads at once; return what each returned or was refused with."""

    def attempt() -> Any:
        try:
            return call()
        except ServiceError as refused:
            return refused

    return together([attempt] * THREADS)


def test_of_sixty_four_at_one_lock_one_has_it_and_its_fence_is_new(locks: Locks, name: str) -> None:
    for round_ in range(1, 16):
        results = attempts(partial(locks.try_acquire, name, 60_000))
        (lease,) = [result for result in results if isinstance(result, Lease)]
        assert sum(isinstance(result, LockHeld) for result in results) == THREADS - 1
        assert lease.fence == round_
        locks.release(lease)


def test_sixty_four_waiters_have_the_lock_one_after_the_other(locks: Locks, name: str) -> None:
    # Given
    inside, fences = threading.Lock(), []

    def hold() -> None:
        with locks.lock(name, 60_000, wait_ms=60_000) as lease:
            # Not a lock but a witness: nobody else may be inside.
            assert inside.acquire(blocking=False)
            fences.append(lease.fence)
            inside.release()

    # When
    together([hold] * THREADS)
    # Then
    assert fences == list(range(1, THREADS + 1))


def test_an_expired_lock_is_taken_over_by_one_of_sixty_four(locks: Locks, name: str) -> None:
    for _ in range(5):
        fence = locks.acquire(name, 1, wait_ms=5000).fence
        # The time of the lock and the allowance for clocks.
        time.sleep((1 + SETTINGS.skew_allowance_ms + 10) / 1000)
        results = attempts(partial(locks.try_acquire, name, 60_000))
        (lease,) = [result for result in results if isinstance(result, Lease)]
        assert lease.fence == fence + 1
        locks.release(lease)


def test_guarded_increments_lose_nothing_though_holders_oversleep(locks: Locks, table: Table, name: str) -> None:
    # Given a count that only the lock protects: it is read, and written back one higher
    applied: list[int] = []

    def increment() -> None:
        for _ in range(6):
            lease = locks.acquire(name, 40, wait_ms=60_000)
            count = (table.get(f"count#{name}") or {}).get("n", 0)
            # One in three is paused for longer than its time and the allowance.
            time.sleep(random.choice([0, 0.01, 0.15]))
            write = table.updating(f"count#{name}", "SET n = :n", values={":n": count + 1})
            try:
                locks.guarded(lease, [write])
                applied.append(lease.fence)
                locks.release(lease)
            except LockLost:
                continue

    # When
    together([increment] * 16)
    # Then every write that was said to be applied was, on top of all before it
    assert applied
    assert len(set(applied)) == len(applied)
    assert (table.get(f"count#{name}") or {})["n"] == len(applied)


def test_a_stale_holder_writes_nothing_while_another_does(locks: Locks, table: Table, name: str) -> None:
    stale = [locks.acquire(name, 1, wait_ms=5000) for _ in range(8)]
    current = locks.acquire(name, 60_000, wait_ms=5000)
    write = table.updating(f"count#{name}", "ADD n :one", values={":one": 1})
    outcomes = together([partial(_guarded, locks, lease, write) for lease in [*stale, current] * 4])
    assert outcomes == ([False] * len(stale) + [True]) * 4
    assert (table.get(f"count#{name}") or {})["n"] == 4


def _guarded(locks: Locks, lease: Lease, write: Any) -> bool:
    try:
        locks.guarded(lease, [write])
    except LockLost:
        return False
    return True


def test_of_sixty_four_at_one_claim_one_does_the_work(claims: Claims, name: str) -> None:
    for round_ in range(5):
        key = f"{name}-{round_}"
        results = attempts(partial(claims.begin, key, ttl_seconds=3600))
        (claim,) = [result for result in results if isinstance(result, Claim)]
        assert sum(isinstance(result, StillRunning) for result in results) == THREADS - 1
        claims.finish(claim, "done")
        assert all(isinstance(result, AlreadyDone) for result in attempts(partial(claims.begin, key, ttl_seconds=60)))


def test_of_sixty_four_at_abandoned_work_one_takes_over_the_same_resource(claims: Claims, name: str) -> None:
    first = claims.begin(name, ttl_seconds=3600)
    for _ in range(5):
        claims.abandon(first)
        results = attempts(partial(claims.begin, name, ttl_seconds=3600))
        (claim,) = [result for result in results if isinstance(result, Claim)]
        assert claim.resource_id == first.resource_id
        first = claim


@pytest.mark.parametrize("tokens", [1, 20, 63])
def test_of_sixty_four_at_one_rate_exactly_the_tokens_are_had(table: Table, name: str, tokens: int) -> None:
    rates, limit = Rates(table), Limit(tokens, 3_600_000)
    assert sum(taken.ok for taken in attempts(partial(rates.take, name, limit))) == tokens
    together([partial(rates.give_back, name, limit)] * tokens)
    assert sum(taken.ok for taken in attempts(partial(rates.take, name, limit))) == tokens


def test_nothing_happens_twice_when_every_first_answer_is_lost(client: Any, table: Table, name: str) -> None:
    # Given
    flaky = Table(Twice(client), table.name)
    locks, claims, rates = Locks(flaky, SETTINGS), Claims(flaky, SETTINGS), Rates(flaky)
    count = table.updating(f"count#{name}", "ADD n :one", values={":one": 1})
    # When
    with locks.lock(name, 60_000) as lease:
        locks.guarded(lease, [count])
        locks.extend(lease, 60_000)
    claims.finish(claims.begin(name, ttl_seconds=60), "done", [count])
    assert claims.once(name, lambda _: "again", ttl_seconds=60) == "done"
    # Then
    assert lease.fence == 1
    assert (table.get(f"count#{name}") or {})["n"] == 2
    # And a token is given back once
    limit = Limit(5, 3_600_000)
    assert sum(Rates(table).take(name, limit).ok for _ in range(6)) == 5
    rates.give_back(name, limit)
    assert sum(Rates(table).take(name, limit).ok for _ in range(6)) == 1


@pytest.fixture
def held(stack: Stack, name: str) -> Iterator[Holder]:
    with Holder(stack.environment, name, ttl_ms=1500) as holder:
        yield holder


def test_a_killed_holder_is_followed_by_a_process_that_never_saw_the_lock(
    stack: Stack, locks: Locks, table: Table, name: str, held: Holder
) -> None:
    # Given
    first = held.has()
    dead = Lease(name, first.owner, first.fence, until=0)
    expires_at_ms = (table.get(f"lock#{name}") or {})["expiresAt"]
    # When
    held.kill()
    with Holder(stack.environment, name, ttl_ms=60_000, wait_ms=20_000) as heir:
        second = heir.has()
        # Then it came after the time of the first, and the first can do nothing any more
        assert second.fence == first.fence + 1
        assert second.at * 1000 > expires_at_ms + SETTINGS.skew_allowance_ms
        for stale in (locks.release, partial(locks.extend, ttl_ms=1000), partial(locks.guarded, writes=[])):
            with pytest.raises(LockLost):
                stale(dead)
        locks.guarded(Lease(name, second.owner, second.fence, until=0), [])
