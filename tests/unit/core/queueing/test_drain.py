"""Lanes drained: each due entry is done once, and a lane that fails delays neither its owner's nor others' lanes."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.collection import Collection
from pymongo.database import Database

from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing import drain, entries, lanes, outbox
from chalicelib.core.queueing.attempts import Later, Poison
from chalicelib.core.queueing.drain import Drain
from chalicelib.core.queueing.lanes import Item, Lanes
from chalicelib.core.queueing.outbox import Address, Outbox
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.queueing.slots import Lane, Limits, Slots
from chalicelib.core.queueing.wakes import Wake
from chalicelib.core.stores import clients
from tests.support.gateway import Context
from tests.support.queue import Job, Killed, sqs_event
from tests.support.queue import record as sqs_record
from tests.unit.conftest import Printed

CALLS = Queue("calls", visibility_seconds=60, attempts=3, batch_size=1, concurrency=8, timeout_seconds=50)
PREFIX = "https://sqs.us-east-1.amazonaws.com/123456789012/holdfast-unit-"
ANN, ANN_TOO, BEN = Lane("ann", "ann/a.example"), Lane("ann", "ann/b.example"), Lane("ben", "ben/a.example")

Documents = Collection[dict[str, Any]]


class Calls:
    """A handler that records the documents it was called with, and fails as *failures* says by document."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.failures: dict[str, Callable[[], BaseException]] = {}

    def __call__(self, item: Item, _claim: Claim) -> None:
        self.made.append(item.document_id)
        if fail := self.failures.get(item.document_id):
            raise fail()


class Yard:
    """A collection with an outbox, and the workers of its lanes."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self.documents, self.owners = database["documents-with-lanes"], database["owners-of-lanes"]
        self.documents.create_indexes([outbox.INDEX, *lanes.INDEXES])
        self.sqs = clients.aws("sqs")
        for name in (CALLS.name, CALLS.dead_letters):
            self.sqs.create_queue(QueueName=f"holdfast-unit-{name}")
        limits = Limits(per_owner=2, per_lane=2)
        self.drain = Drain(CALLS, Lanes(self.documents), Slots(self.owners, limits), call_ms=15_000)
        from chalicelib.core.queueing import wiring  # noqa: PLC0415

        self.outbox = Outbox(self.documents, _no_address, wiring.sender, lanes=CALLS)
        self.calls = Calls()

    def add(self, lane: Lane, *document_ids: str, due_in_ms: int = 0) -> None:
        """Write documents, each with an entry of *lane*."""
        for document_id in document_ids:
            due = {"$add": ["$$NOW", due_in_ms]}
            entry = entries.entry("call", due, owner={"$literal": lane.owner}, lane={"$literal": lane.name})
            self.documents.update_one({"_id": document_id}, [{"$set": {"outbox": [entry]}}], upsert=True)

    def wake(self, lane: Lane, handle: Any = None, **more: Any) -> list[str]:
        """Deliver a message that wakes *lane*; return the ids of messages to deliver again."""
        wake = Wake(owner=lane.owner, lane=lane.name, caused_by="a test", **more)
        return self.deliver(wake.model_dump_json(), "w-1", handle)

    def deliver(self, body: str, message_id: str, handle: Any = None, *, reason: str | None = None) -> list[str]:
        record = {**sqs_record("x", message_id), "body": body}
        if reason is not None:
            record["messageAttributes"] = {"reason": {"stringValue": reason, "dataType": "String"}}
        answer = drain.run(sqs_event([record]), self.drain, handle or self.calls)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def waiting(self) -> list[str]:
        """Return the ids of documents whose entry has not ended."""
        return sorted(found["_id"] for found in self.documents.find({"outbox.0": {"$exists": True}}))

    def woken(self) -> list[str]:
        """Take the messages of the queue; return the lanes that they wake."""
        found = self.sqs.receive_message(QueueUrl=PREFIX + CALLS.name, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=PREFIX + CALLS.name, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"])["lane"] for message in found]

    def dead_letters(self) -> list[tuple[str, str]]:
        """Take the dead letters; return body and reason of each."""
        found = self.sqs.receive_message(
            QueueUrl=PREFIX + CALLS.dead_letters, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=PREFIX + CALLS.dead_letters, ReceiptHandle=message["ReceiptHandle"])
        return [(each["Body"], each["MessageAttributes"]["reason"]["StringValue"]) for each in found]

    def make_due(self) -> None:
        """Set every due moment, and every end of a closing, back."""
        past = datetime.now(UTC) - timedelta(seconds=1)
        self.documents.update_many({}, {"$set": {"outbox.$[].due": past}})
        self.owners.update_many({"breakers": {"$exists": True}}, {"$set": {"breakers.$[].opensAt": past}})


def _no_address(document_id: str, effect: str) -> Address:
    raise AssertionError((document_id, effect))


@pytest.fixture
def yard(mongodb: Database[dict[str, Any]], dynamodb: Any, mail: Any) -> Iterator[Yard]:
    made = Yard(mongodb)
    yield made
    made.documents.drop()
    made.owners.drop()


def counts() -> tuple[int, int]:
    found = coordination.counts().read([CALLS.name], ("completed", "failed"))[CALLS.name]
    return found["completed"], found["failed"]


def test_a_woken_lane_does_its_due_entries_and_no_other(yard: Yard) -> None:
    yard.add(ANN, "a1", "a2")
    yard.add(ANN, "later", due_in_ms=60_000)
    yard.add(ANN_TOO, "b1")
    assert yard.wake(ANN) == []
    assert yard.calls.made == ["a1", "a2"]
    assert (yard.waiting(), counts()) == (["b1", "later"], (2, 0))
    # The owner's next lane is woken.
    assert yard.woken() == [ANN_TOO.name]


def test_a_repeated_wake_repeats_no_call(yard: Yard) -> None:
    yard.add(ANN, "a1")
    for _ in range(3):
        yard.wake(ANN)
    assert (yard.calls.made, counts()) == (["a1"], (1, 0))


def test_a_failed_call_is_due_again_after_its_pause(yard: Yard) -> None:
    yard.add(ANN, "a1")
    yard.calls.failures["a1"] = lambda: Later("busy", 30)
    yard.wake(ANN)
    yard.wake(ANN)
    assert (yard.calls.made, yard.waiting()) == (["a1"], ["a1"])
    (entry,) = yard.documents.find_one({"_id": "a1"})["outbox"]  # type: ignore[index]
    assert 25 < (entry["due"] - datetime.now(UTC)).total_seconds() <= 30
    yard.make_due()
    yard.calls.failures.clear()
    yard.wake(ANN)
    assert (yard.waiting(), counts()) == ([], (1, 0))


def test_the_last_failed_attempt_is_dead_lettered_and_counted(yard: Yard) -> None:
    yard.add(ANN, "a1")
    yard.calls.failures["a1"] = lambda: Later("busy", 1)
    for _ in range(CALLS.attempts + 1):
        yard.wake(ANN)
        yard.make_due()
    ((body, reason),) = yard.dead_letters()
    assert reason == "after 3 attempts: busy"
    assert json.loads(body)["documentId"] == "a1"
    assert (len(yard.calls.made), yard.waiting(), counts()) == (3, [], (0, 1))


def test_a_redriven_dead_letter_is_called_again_once(yard: Yard) -> None:
    # Given
    yard.add(ANN, "a1")
    yard.calls.failures["a1"] = lambda: Poison("gone")
    yard.wake(ANN)
    ((body, reason),) = yard.dead_letters()
    yard.calls.failures.clear()
    # When the dead letter is sent back, and delivered twice
    for _ in range(2):
        assert yard.deliver(body, "redriven", reason=reason) == []
    # Then
    assert (yard.calls.made, yard.waiting(), counts()) == (["a1", "a1"], [], (1, 1))


def test_a_redriven_dead_letter_that_fails_again_is_a_dead_letter_again(yard: Yard) -> None:
    yard.add(ANN, "a1")
    yard.calls.failures["a1"] = lambda: Poison("gone")
    yard.wake(ANN)
    ((body, reason),) = yard.dead_letters()
    yard.deliver(body, "redriven", reason=reason)
    assert [found for _, found in yard.dead_letters()] == ["gone"]
    assert (len(yard.calls.made), counts()) == (2, (0, 2))


def test_a_redriven_dead_letter_without_its_document_is_a_dead_letter_again(yard: Yard) -> None:
    yard.add(ANN, "a1")
    yard.calls.failures["a1"] = lambda: Poison("gone")
    yard.wake(ANN)
    ((body, reason),) = yard.dead_letters()
    yard.documents.delete_many({})
    assert yard.deliver(body, "redriven", reason=reason) == []
    assert [found for _, found in yard.dead_letters()] == ["The document of this entry is no longer kept."]


def test_a_lane_closes_after_five_failures_without_using_up_attempts(yard: Yard) -> None:
    # Given
    names = [f"a{number}" for number in range(8)]
    yard.add(ANN, *names)
    yard.calls.failures = dict.fromkeys(names, lambda: Later("silent", 1))
    # When
    yard.wake(ANN)
    # Then five calls were made, and the lane is woken at the end of its closing
    assert len(yard.calls.made) == 5
    assert ANN.name not in yard.woken()
    for _ in range(20):
        yard.wake(ANN)
    assert len(yard.calls.made) == 5
    assert yard.waiting() == names
    # And a probe that succeeds opens the lane
    yard.calls.failures.clear()
    yard.make_due()
    yard.wake(ANN)
    assert (yard.waiting(), counts()) == ([], (8, 0))


def test_a_closed_lane_leaves_the_owners_other_lanes_woken(yard: Yard) -> None:
    names = [f"a{number}" for number in range(5)]
    yard.add(ANN, *names)
    yard.calls.failures = dict.fromkeys(names, lambda: Later("silent", 1))
    yard.wake(ANN)
    yard.woken()
    yard.add(ANN_TOO, "b1")
    yard.wake(ANN)
    assert yard.woken() == [ANN_TOO.name]


def test_a_busy_owner_delays_no_other(yard: Yard) -> None:
    # Given an owner whose slots are all taken
    yard.add(ANN, "a1")
    yard.add(ANN_TOO, "b1")
    yard.add(BEN, "c1")
    slots = [yard.drain.slots.take(ANN, 60_000) for _ in range(2)]
    # When
    for lane in (ANN, ANN_TOO, BEN):
        assert yard.wake(lane) == []
    # Then only the other owner's call is made
    assert yard.calls.made == ["c1"]
    # And the worker that gives a slot back wakes what is left
    assert all(slots)
    yard.drain.slots.release(slots[0])  # type: ignore[arg-type]
    yard.wake(ANN)
    assert yard.woken() == [ANN_TOO.name]


def test_a_killed_workers_entry_is_called_again(yard: Yard) -> None:
    # Given
    yard.add(ANN, "a1")

    def die(_item: Item, _claim: Claim) -> None:
        raise Killed

    with pytest.raises(Killed):
        yard.wake(ANN, die)
    # When its message comes again before its leases have ended
    yard.wake(ANN)
    assert yard.calls.made == []
    # Then the next one calls
    past = datetime.now(UTC) - timedelta(seconds=1)
    yard.documents.update_one({}, {"$set": {"outbox.0.claimedUntil": past}})
    clients.table("coordination").change(
        "claim#calls/a1.call", "SET leaseUntil = :past", when="attribute_exists(pk)", values={":past": 1}
    )
    yard.wake(ANN)
    assert (yard.calls.made, yard.waiting(), counts()) == (["a1"], [], (1, 0))


def test_a_message_comes_again_if_a_store_is_down(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.add(ANN, "a1")

    def down(*_: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(Lanes, "claim", down)
        assert yard.wake(ANN) == ["w-1"]
    # The slot was given back.
    yard.wake(ANN)
    assert yard.calls.made == ["a1"]


def test_a_wake_without_time_for_a_call_is_left(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.add(ANN, "a1")
    monkeypatch.setattr("tests.support.queue.Context", lambda _: Context(15_000))
    assert yard.wake(ANN) == ["w-1"]
    assert yard.calls.made == []


def test_the_sweep_wakes_a_lane_once_for_all_its_entries(yard: Yard) -> None:
    yard.add(ANN, *[f"a{number}" for number in range(20)])
    yard.documents.update_many({}, {"$unset": {"outbox.$[].heldUntil": ""}})
    assert yard.outbox.sweep() == 20
    assert yard.woken() == [ANN.name]


def test_each_item_has_a_log_record_with_the_request_that_wrote_it(yard: Yard, printed: Printed) -> None:
    yard.add(ANN, "a1")
    yard.wake(ANN)
    item, message = printed.lines()
    assert (item["kind"], item["workId"], item["lane"], item["outcome"]) == ("item", "a1.call", ANN.name, "done")
    assert (item["itemsDone"], message["kind"], message["outcome"]) == (1, "message", "done")


def test_an_unreadable_message_is_dead_lettered(yard: Yard) -> None:
    assert yard.deliver(Job(job_id="a").model_dump_json(), "m-1") == []
    ((_, reason),) = yard.dead_letters()
    assert reason.startswith("unreadable: ")


def test_the_load_counts_waiting_and_claimed_entries(yard: Yard) -> None:
    yard.add(ANN, "a1", "a2")
    yard.drain.lanes.claim(ANN, 60_000)
    assert yard.drain.lanes.load() == (1, 1)
