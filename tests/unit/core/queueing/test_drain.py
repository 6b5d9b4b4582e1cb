"""Lanes drained: each due entry is done once, and a lane that fails delays neither its owner's nor others' lanes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.attempts import Later, Poison
from chalicelib.core.queueing.lanes import Item, Lanes
from chalicelib.core.stores import clients
from tests.support.gateway import Context
from tests.support.lanes import ANN, ANN_TOO, BEN, CALLS, LaneWorker
from tests.support.queue import Job, Killed
from tests.unit.conftest import Printed


@pytest.fixture
def worker(mongodb: Database[dict[str, Any]], dynamodb: Any, mail: Any) -> Iterator[LaneWorker]:
    made = LaneWorker(mongodb)
    yield made
    made.documents.drop()
    made.owners.drop()


def counts() -> tuple[int, int]:
    found = coordination.counts().read([CALLS.name], ("completed", "failed"))[CALLS.name]
    return found["completed"], found["failed"]


def test_a_woken_lane_does_its_due_entries_and_no_other(worker: LaneWorker) -> None:
    worker.add(ANN, "a1", "a2")
    worker.add(ANN, "later", due_in_ms=60_000)
    worker.add(ANN_TOO, "b1")
    assert worker.wake(ANN) == []
    assert worker.calls.made == ["a1", "a2"]
    assert (worker.waiting(), counts()) == (["b1", "later"], (2, 0))
    # The owner's next lane is woken.
    assert worker.woken() == [ANN_TOO.name]


def test_a_repeated_wake_repeats_no_call(worker: LaneWorker) -> None:
    worker.add(ANN, "a1")
    for _ in range(3):
        worker.wake(ANN)
    assert (worker.calls.made, counts()) == (["a1"], (1, 0))


def test_a_failed_call_is_due_again_after_its_pause(worker: LaneWorker) -> None:
    worker.add(ANN, "a1")
    worker.calls.failures["a1"] = lambda: Later("busy", 30)
    worker.wake(ANN)
    worker.wake(ANN)
    assert (worker.calls.made, worker.waiting()) == (["a1"], ["a1"])
    (entry,) = worker.documents.find_one({"_id": "a1"})["outbox"]  # type: ignore[index]
    assert 25 < (entry["due"] - datetime.now(UTC)).total_seconds() <= 30
    worker.make_due()
    worker.calls.failures.clear()
    worker.wake(ANN)
    assert (worker.waiting(), counts()) == ([], (1, 0))


def test_the_last_failed_attempt_is_dead_lettered_and_counted(worker: LaneWorker) -> None:
    worker.add(ANN, "a1")
    worker.calls.failures["a1"] = lambda: Later("busy", 1)
    for _ in range(CALLS.attempts + 1):
        worker.wake(ANN)
        worker.make_due()
    ((body, reason),) = worker.dead_letters()
    assert reason == "after 3 attempts: busy"
    assert json.loads(body)["documentId"] == "a1"
    assert (len(worker.calls.made), worker.waiting(), counts()) == (3, [], (0, 1))


def test_a_redriven_dead_letter_is_called_again_once(worker: LaneWorker) -> None:
    # Given
    worker.add(ANN, "a1")
    worker.calls.failures["a1"] = lambda: Poison("gone")
    worker.wake(ANN)
    ((body, reason),) = worker.dead_letters()
    worker.calls.failures.clear()
    # When the dead letter is sent back, and delivered twice
    for _ in range(2):
        assert worker.deliver(body, "redriven", reason=reason) == []
    # Then
    assert (worker.calls.made, worker.waiting(), counts()) == (["a1", "a1"], [], (1, 1))


def test_a_redriven_dead_letter_that_fails_again_is_a_dead_letter_again(worker: LaneWorker) -> None:
    worker.add(ANN, "a1")
    worker.calls.failures["a1"] = lambda: Poison("gone")
    worker.wake(ANN)
    ((body, reason),) = worker.dead_letters()
    worker.deliver(body, "redriven", reason=reason)
    assert [found for _, found in worker.dead_letters()] == ["gone"]
    assert (len(worker.calls.made), counts()) == (2, (0, 2))


def test_a_redriven_dead_letter_without_its_document_is_a_dead_letter_again(worker: LaneWorker) -> None:
    worker.add(ANN, "a1")
    worker.calls.failures["a1"] = lambda: Poison("gone")
    worker.wake(ANN)
    ((body, reason),) = worker.dead_letters()
    worker.documents.delete_many({})
    assert worker.deliver(body, "redriven", reason=reason) == []
    assert [found for _, found in worker.dead_letters()] == ["The document of this entry is no longer kept."]


def test_a_lane_closes_after_five_failures_without_using_up_attempts(worker: LaneWorker) -> None:
    # Given
    names = [f"a{number}" for number in range(8)]
    worker.add(ANN, *names)
    worker.calls.failures = dict.fromkeys(names, lambda: Later("silent", 1))
    # When
    worker.wake(ANN)
    # Then five calls were made, and the lane is woken at the end of its closing
    assert len(worker.calls.made) == 5
    assert ANN.name not in worker.woken()
    for _ in range(20):
        worker.wake(ANN)
    assert len(worker.calls.made) == 5
    assert worker.waiting() == names
    # And a probe that succeeds opens the lane
    worker.calls.failures.clear()
    worker.make_due()
    worker.wake(ANN)
    assert (worker.waiting(), counts()) == ([], (8, 0))


def test_a_closed_lane_leaves_the_owners_other_lanes_woken(worker: LaneWorker) -> None:
    names = [f"a{number}" for number in range(5)]
    worker.add(ANN, *names)
    worker.calls.failures = dict.fromkeys(names, lambda: Later("silent", 1))
    worker.wake(ANN)
    worker.woken()
    worker.add(ANN_TOO, "b1")
    worker.wake(ANN)
    assert worker.woken() == [ANN_TOO.name]


def test_a_busy_owner_delays_no_other(worker: LaneWorker) -> None:
    # Given an owner whose slots are all taken
    worker.add(ANN, "a1")
    worker.add(ANN_TOO, "b1")
    worker.add(BEN, "c1")
    slots = [worker.drain.slots.take(ANN, 60_000) for _ in range(2)]
    # When
    for lane in (ANN, ANN_TOO, BEN):
        assert worker.wake(lane) == []
    # Then only the other owner's call is made
    assert worker.calls.made == ["c1"]
    # And the worker that gives a slot back wakes what is left
    assert all(slots)
    worker.drain.slots.release(slots[0])  # type: ignore[arg-type]
    worker.wake(ANN)
    assert worker.woken() == [ANN_TOO.name]


def test_a_killed_workers_entry_is_called_again(worker: LaneWorker) -> None:
    # Given
    worker.add(ANN, "a1")

    def die(_item: Item, _claim: Claim) -> None:
        raise Killed

    with pytest.raises(Killed):
        worker.wake(ANN, die)
    # When its message comes again before its leases have ended
    worker.wake(ANN)
    assert worker.calls.made == []
    # Then the next one calls
    past = datetime.now(UTC) - timedelta(seconds=1)
    worker.documents.update_one({}, {"$set": {"outbox.0.claimedUntil": past}})
    clients.table("coordination").change(
        "claim#calls/a1.call", "SET leaseUntil = :past", when="attribute_exists(pk)", values={":past": 1}
    )
    worker.wake(ANN)
    assert (worker.calls.made, worker.waiting(), counts()) == (["a1"], [], (1, 0))


def test_a_message_comes_again_if_a_store_is_down(worker: LaneWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.add(ANN, "a1")

    def down(*_: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(Lanes, "claim", down)
        assert worker.wake(ANN) == ["w-1"]
    # The slot was given back.
    worker.wake(ANN)
    assert worker.calls.made == ["a1"]


def test_a_wake_without_time_for_a_call_is_left(worker: LaneWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.add(ANN, "a1")
    monkeypatch.setattr("tests.support.queue.Context", lambda _: Context(15_000))
    assert worker.wake(ANN) == ["w-1"]
    assert worker.calls.made == []


def test_the_sweep_wakes_a_lane_once_for_all_its_entries(worker: LaneWorker) -> None:
    worker.add(ANN, *[f"a{number}" for number in range(20)])
    worker.documents.update_many({}, {"$unset": {"outbox.$[].heldUntil": ""}})
    assert worker.outbox.sweep() == 20
    assert worker.woken() == [ANN.name]


def test_each_item_has_a_log_record_with_the_request_that_wrote_it(worker: LaneWorker, printed: Printed) -> None:
    worker.add(ANN, "a1")
    worker.wake(ANN)
    item, message = printed.lines()
    assert (item["kind"], item["workId"], item["lane"], item["outcome"]) == ("item", "a1.call", ANN.name, "done")
    assert (item["itemsDone"], message["kind"], message["outcome"]) == (1, "message", "done")


def test_an_unreadable_message_is_dead_lettered(worker: LaneWorker) -> None:
    assert worker.deliver(Job(job_id="a").model_dump_json(), "m-1") == []
    ((_, reason),) = worker.dead_letters()
    assert reason.startswith("unreadable: ")


def test_the_load_counts_waiting_and_claimed_entries(worker: LaneWorker) -> None:
    worker.add(ANN, "a1", "a2")
    worker.drain.lanes.claim(ANN, 60_000)
    assert worker.drain.lanes.load() == (1, 1)
