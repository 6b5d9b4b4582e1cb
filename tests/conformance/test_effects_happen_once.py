"""A message is worked on at least once, and its effects happen once.

Shown by workers killed at every step, by copies of messages, and by many threads racing for a claim.
tests/unit/core/coordination/test_claim_machine.py tests random orders of events.
"""

import os
import random
import signal
from contextlib import suppress
from functools import partial
from time import monotonic, sleep
from typing import Any

import pytest

from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.coordination.errors import AlreadyDone, StillRunning
from chalicelib.core.coordination.locks import Locks
from chalicelib.core.coordination.rates import Limit, Rates
from chalicelib.core.stores.dynamodb import Table
from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.coordination import SETTINGS, THREADS, call_from_all_threads
from tests.support.extra_worker import ExtraWorker, deployed
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

#: The steps at which a worker is killed that does its work, and a worker that dead-letters the message.
_WORKING, _GIVING_UP = ("before", "after", "counted"), ("before", "counted", "dead_lettered")
#: The ways to finish work.
_FINISHES = ("each", "batch")
#: The last message comes again after its visibility timeout, and a busy machine is slow.
_DEADLINE_SECONDS = 120


def _settled(extra: ExtraWorker, works: int) -> None:
    """Wait until every piece of work is counted and no message is left."""
    eventually(lambda: sum(extra.read_counts()) >= works, _DEADLINE_SECONDS + works)
    eventually(lambda: _left(extra) == 0, _DEADLINE_SECONDS)


def _left(extra: ExtraWorker) -> int:
    # One look for both: between two looks a message of a killed worker becomes visible again.
    depth = extra.sender.depth(extra.queue)
    return depth.pending + depth.processing


@pytest.mark.parametrize("finish", _FINISHES)
def test_a_worker_killed_at_any_step_leaves_one_effect_and_one_count(stack: Stack, figure: Figure, finish: str) -> None:
    # Given two copies of each message, and the first worker of each killed at the steps in turn
    # A kill delays its whole batch.
    kills, size = (times(200), 2) if finish == "each" else (times(100), 5)
    began = monotonic()
    # The leases of a killed function end before its messages come again.
    with deployed(stack, visibility_seconds=10, timeout_seconds=8, batch_size=size, finish=finish) as extra:
        for number in range(kills):
            for _ in range(2):
                extra.send(f"work-{number}", dies=_WORKING[number % 3])
        poisoned = max(3, kills // 4)
        for number in range(poisoned):
            extra.send(f"poison-{number}", dies=_GIVING_UP[number % 3], poison=True)
        # When all is settled
        _settled(extra, kills + poisoned)
        # Then
        assert extra.read_counts() == (kills, poisoned)
        assert extra.effects() == {f"work-{number}": 1 for number in range(kills)}
        # A worker that died before it deleted the message dead-letters it again, as a copy.
        eventually(lambda: extra.sender.depth(extra.queue).dead == 0, _DEADLINE_SECONDS)
        reasons = sorted(letter.reason for letter in extra.letters)
        assert reasons == sorted(f"poison-{number} is poison" for number in range(poisoned))
    figure(
        f"workers killed at a step, {finish}",
        f"{kills + poisoned}, all works settled after {monotonic() - began:.0f} s",
    )


@pytest.mark.parametrize("finish", _FINISHES)
def test_workers_killed_at_any_moment_leave_one_effect_and_one_count(stack: Stack, figure: Figure, finish: str) -> None:
    # Given slow work
    kills, works, rng = times(100), times(400), random.Random(3)
    size = 5 if finish == "each" else 10
    with deployed(stack, visibility_seconds=10, timeout_seconds=10, batch_size=size, finish=finish) as extra:
        for number in range(works):
            extra.send(f"work-{number}", seconds=0.05)
        # When a worker is killed now and then
        killed, deadline = 0, monotonic() + _DEADLINE_SECONDS + kills
        while killed < kills and monotonic() < deadline and sum(extra.read_counts()) < works:
            killed += _killed(stack, extra, rng)
            # A random moment for the kill, not a wait for a condition.
            sleep(rng.uniform(0.1, 0.6))
        _settled(extra, works)
        # Then
        assert extra.read_counts() == (works, 0)
        assert extra.effects() == {f"work-{number}": 1 for number in range(works)}
        assert (extra.sender.depth(extra.queue).dead, extra.letters) == (0, [])
    assert killed > 0
    figure(f"workers killed at a moment, {finish}", f"{killed}, while {works} messages were worked on")


def _killed(stack: Stack, extra: ExtraWorker, rng: random.Random) -> int:
    """Kill a worker if any runs; return the number of killed workers."""
    workers = stack.workers(extra.function)
    if not workers:
        return 0
    with suppress(ProcessLookupError):
        os.kill(rng.choice(workers), signal.SIGKILL)
    return 1


def test_copies_of_a_message_are_worked_on_once_and_all_logged(extra: ExtraWorker) -> None:
    completed, failed = extra.read_counts()
    for _ in range(5):
        extra.send("copied")
    eventually(lambda: _left(extra) == 0, _DEADLINE_SECONDS)
    assert extra.effects()["copied"] == 1
    assert extra.read_counts() == (completed + 1, failed)
    lines = eventually(lambda: found if len(found := _lines_of(extra, "copied")) >= 5 else None, _DEADLINE_SECONDS)
    outcomes = sorted(line["outcome"] for line in lines if line["outcome"] != "again")
    # A slow machine may deliver a batch again
    assert (len(outcomes) >= 5, outcomes.count("done"), set(outcomes[1:])) == (True, 1, {"repeated"})
    # Each copy carries the request id of its cause
    assert {line["requestId"] for line in lines} == {"cause-of-copied"}
    assert {line["queue"] for line in lines} == {extra.queue.name}


def _lines_of(extra: ExtraWorker, job: str) -> list[dict[str, Any]]:
    return [line for line in extra.log_records() if line.get("workId") == job]


def test_racing_claims_of_a_message_have_one_winner(claims: Claims, name: str) -> None:
    for round_ in range(5):
        key = f"{name}-{round_}"
        results = call_from_all_threads(partial(claims.begin, key, ttl_seconds=3600))
        (claim,) = [result for result in results if isinstance(result, Claim)]
        assert sum(isinstance(result, StillRunning) for result in results) == THREADS - 1
        claims.finish(claim, "done")
        assert all(
            isinstance(result, AlreadyDone)
            for result in call_from_all_threads(partial(claims.begin, key, ttl_seconds=60))
        )


def test_racing_takeovers_of_a_claim_keep_its_resource_id(claims: Claims, name: str) -> None:
    first = claims.begin(name, ttl_seconds=3600)
    for _ in range(5):
        claims.abandon(first)
        results = call_from_all_threads(partial(claims.begin, name, ttl_seconds=3600))
        (claim,) = [result for result in results if isinstance(result, Claim)]
        assert claim.resource_id == first.resource_id
        first = claim


class FlakyClient:
    """A client that loses the first answer of every call and retries, as the SDK does."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, operation: str) -> Any:
        call = getattr(self._client, operation)

        def twice(**arguments: Any) -> Any:
            # The first answer is lost, also an error.
            with suppress(self._client.exceptions.ClientError):
                call(**arguments)
            return call(**arguments)

        return twice


def test_effects_happen_once_when_every_first_answer_is_lost(dynamodb: Any, table: Table, name: str) -> None:
    # Given
    flaky = Table(FlakyClient(dynamodb), table.name)
    locks, claims, rates = Locks(flaky, SETTINGS), Claims(flaky, SETTINGS), Rates(flaky)
    count = table.update_entry(f"count#{name}", "ADD n :one", values={":one": 1})
    # When
    with locks.lock(name, 60_000) as lease:
        locks.guarded(lease, [count])
        locks.extend(lease, 60_000)
    claims.finish(claims.begin(name, ttl_seconds=60), "done", [count])
    assert claims.once(name, lambda _: "again", ttl_seconds=60) == "done"
    # Then
    assert lease.fencing_token == 1
    assert (table.get(f"count#{name}") or {})["n"] == 2
    # And a rate token is given back once
    limit = Limit(5, 3_600_000)
    assert sum(Rates(table).take(name, limit).ok for _ in range(6)) == 5
    rates.give_back(name, limit)
    assert sum(Rates(table).take(name, limit).ok for _ in range(6)) == 1
