"""The schedule of a lane's entries: how many attempts, at which distance, and what a receiver's wish changes."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.egress import SCHEDULE_SECONDS, TimedOut
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.attempts import Later
from chalicelib.core.queueing.queues import Queue
from tests.support.lanes import ANN, CALLS, LaneWorker

HOUR = 3600
SCHEDULED = replace(CALLS, attempts=len(SCHEDULE_SECONDS) + 1, schedule_seconds=SCHEDULE_SECONDS)


@pytest.fixture
def worker(mongodb: Database[dict[str, Any]], dynamodb: Any, mail: Any) -> Iterator[LaneWorker]:
    made = LaneWorker(mongodb)
    made.drain = replace(made.drain, queue=SCHEDULED)
    made.add(ANN, "a1")
    yield made
    made.documents.drop()
    made.owners.drop()


def pauses(worker: LaneWorker, fail: Callable[[], BaseException], times: int) -> list[float]:
    """Fail each attempt; return the seconds to the next, for each attempt but the last."""
    worker.calls.failures["a1"] = fail
    found = []
    for _ in range(times):
        worker.wake(ANN)
        now, entries = datetime.now(UTC), (worker.documents.find_one({"_id": "a1"}) or {})["outbox"]
        found += [(entry["due"] - now).total_seconds() for entry in entries]
        worker.make_due()
    return found


def is_planned(pause: float, planned: int) -> bool:
    return planned - 5 <= pause <= planned * 1.2


@pytest.mark.parametrize("fail", [lambda: Later("busy"), TimedOut])
def test_attempts_are_spread_over_the_whole_schedule(worker: LaneWorker, fail: Callable[[], BaseException]) -> None:
    found = pauses(worker, fail, 8)
    assert len(worker.calls.made) == 8
    assert len(found) == 7
    assert all(map(is_planned, found, SCHEDULE_SECONDS)), found
    ((_, reason),) = worker.dead_letters()
    assert reason.startswith("after 8 attempts: ")


def test_a_receiver_that_asks_for_hours_is_not_called_before(worker: LaneWorker) -> None:
    (pause,) = pauses(worker, lambda: Later("closed", 4 * HOUR), 1)
    assert 4 * HOUR - 5 < pause <= 4 * HOUR
    # A minute before the time
    soon = datetime.now(UTC) + timedelta(minutes=1)
    worker.documents.update_one({}, {"$set": {"outbox.0.due": soon}})
    for _ in range(9):
        worker.wake(ANN)
    assert (worker.calls.made, worker.dead_letters()) == (["a1"], [])


def test_short_wishes_do_not_use_up_the_schedule(worker: LaneWorker) -> None:
    found = pauses(worker, lambda: Later("busy", 1), 8)
    assert max(found[:3]) <= 1
    assert all(map(is_planned, found[3:], SCHEDULE_SECONDS[3:])), found


def test_a_store_that_is_down_uses_up_no_attempt(worker: LaneWorker) -> None:
    found = pauses(worker, Unavailable, 20)
    assert max(found) <= 5
    assert worker.dead_letters() == []
    # Neither does it close the lane of a host that was not called.
    assert len(worker.calls.made) == 20
    worker.calls.failures.clear()
    worker.wake(ANN)
    assert worker.waiting() == []


def test_a_redriven_call_has_the_whole_schedule_again(worker: LaneWorker) -> None:
    pauses(worker, lambda: Later("busy"), 8)
    ((body, reason),) = worker.dead_letters()
    worker.deliver(body, "redriven", reason=reason)
    worker.make_due()
    assert len(pauses(worker, lambda: Later("busy"), 7)) == 6
    assert [json.loads(letter)["documentId"] for letter, _ in worker.dead_letters()] == ["a1"]


def test_a_schedule_with_a_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="a pause stands between each two attempts"):
        Queue(
            "calls",
            visibility_seconds=60,
            attempts=3,
            batch_size=1,
            concurrency=2,
            timeout_seconds=50,
            schedule_seconds=(1,),
        )
