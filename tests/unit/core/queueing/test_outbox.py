"""Entries of an outbox: dispatched by their writer, else swept, and kept until their effects are done."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.backends import get_backend
from pymongo.collection import Collection
from pymongo.database import Database

from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing import entries, outbox
from chalicelib.core.queueing.entries import HORIZON_MS, Entry
from chalicelib.core.queueing.outbox import Address, Outbox
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.runtime import deadline, logs
from chalicelib.core.stores import clients
from tests.support.gateway import Context
from tests.support.queue import JOBS, PREFIX, Job

Documents = Collection[dict[str, Any]]
SECOND_MS, HOUR_MS = 1_000, 3_600_000


@pytest.fixture
def documents(mongodb: Database[dict[str, Any]]) -> Iterator[Documents]:
    collection = mongodb["documents-with-an-outbox"]
    collection.create_indexes([outbox.INDEX])
    yield collection
    collection.drop()


@pytest.fixture
def box(documents: Documents, aws: None) -> Outbox:
    clients.aws("sqs").create_queue(QueueName=f"holdfast-unit-{JOBS.name}")
    return Outbox(documents, _address, lambda: Sender(clients.aws("sqs"), PREFIX))


def _address(document_id: str, effect: str) -> Address:
    return Address(JOBS, Job(job_id=f"{document_id}.{effect}"))


def write_entries(
    documents: Documents, document_id: str, due_in_ms: int, *effects: str, dispatched: bool = True
) -> None:
    """Write a document with an outbox entry for each of *effects*, due in *due_in_ms*."""
    due = {"$add": ["$$NOW", due_in_ms]}
    made = [entries.entry(effect, due, dispatched=dispatched) for effect in effects or ("told",)]
    documents.update_one({"_id": document_id}, [{"$set": {"outbox": made}}], upsert=True)


def shift(documents: Documents, **time: float) -> None:
    """Make all entries older by *time*."""
    by = round(timedelta(**time).total_seconds() * 1000)
    older = {
        "effect": "$$this.effect",
        "due": {"$subtract": ["$$this.due", by]},
        "heldUntil": {"$cond": ["$$this.heldUntil", {"$subtract": ["$$this.heldUntil", by]}, "$$REMOVE"]},
    }
    documents.update_many({}, [{"$set": {"outbox": {"$map": {"input": "$outbox", "in": older}}}}])


def sent(seconds: int | None = None) -> list[str]:
    """Return the jobs in the queue, delayed jobs too; with *seconds*, demand about so long a delay of each."""
    found = []
    for message in _messages():
        found.append(json.loads(message["body"])["jobId"])
        if seconds is not None:
            assert seconds - 2 <= message["delay"] <= seconds
    return sorted(found)


def _messages() -> list[dict[str, Any]]:
    # Only moto's own state shows a delay.
    queue = get_backend("sqs")["123456789012"]["us-east-1"].queues[f"holdfast-unit-{JOBS.name}"]
    now = datetime.now(UTC).timestamp() * 1000
    return [{"body": message.body, "delay": -(-(message.delayed_until - now) // 1000)} for message in queue._messages]


def test_an_entry_far_ahead_is_dispatched_by_the_sweep_in_time(box: Outbox, documents: Documents) -> None:
    # Given
    write_entries(documents, "d", HORIZON_MS + 60_000)
    box.dispatch("d", [Entry("told", HORIZON_MS + 60_000)])
    assert (box.sweep(), sent()) == (0, [])
    # When the entry is within the horizon of the next sweep
    shift(documents, seconds=70)
    assert box.sweep() == 1
    # Then SQS holds the message until its moment, and no second message is sent
    assert sent(seconds=80) == ["d.told"]
    assert (box.sweep(), len(sent())) == (0, 1)


def test_near_entries_are_dispatched_in_one_call_with_their_delays(box: Outbox, documents: Documents) -> None:
    with logs.invocation("test") as line:
        box.dispatch("d", [Entry("now", -5), Entry("soon", 30_000), Entry("far", HORIZON_MS + 1)])
    assert line.round_trips == 1
    assert sorted((json.loads(each["body"])["jobId"], each["delay"] > 20) for each in _messages()) == [
        ("d.now", False),
        ("d.soon", True),
    ]


def test_an_entry_whose_writer_died_is_swept_after_its_grace(box: Outbox, documents: Documents) -> None:
    write_entries(documents, "d", 0)
    assert box.sweep() == 0
    shift(documents, seconds=16)
    assert (box.sweep(), sent()) == (1, ["d.told"])


def test_undispatched_entry_is_swept_at_once(box: Outbox, documents: Documents) -> None:
    write_entries(documents, "d", 0, dispatched=False)
    assert (box.sweep(), sent()) == (1, ["d.told"])


def test_a_dispatched_entry_stays_until_its_worker_ends_it(box: Outbox, documents: Documents) -> None:
    # Given
    write_entries(documents, "d", 0, "one", "two", dispatched=False)
    box.sweep()
    assert box.next_due() is not None
    # When
    box.end("d", "one", dead=False)
    box.end("d", "one", dead=False)
    # Then
    assert [each["effect"] for each in documents.find_one({"_id": "d"})["outbox"]] == ["two"]  # type: ignore[index]
    box.end("d", "two", dead=False)
    assert box.next_due() is None


def test_an_entry_whose_message_was_lost_is_dispatched_again(box: Outbox, documents: Documents) -> None:
    write_entries(documents, "d", 0, dispatched=False)
    box.sweep()
    shift(documents, minutes=59)
    assert box.sweep() == 0
    shift(documents, minutes=2)
    assert (box.sweep(), len(sent())) == (1, 2)


def test_entry_taken_by_a_worker_is_not_swept(box: Outbox, documents: Documents) -> None:
    write_entries(documents, "d", 0)
    shift(documents, seconds=20)
    documents.update_one({"_id": "d"}, [{"$set": {"outbox": entries.held("told")}}])
    assert box.sweep() == 0


def test_other_entries_are_swept_beside_a_held_entry(box: Outbox, documents: Documents) -> None:
    write_entries(documents, "d", 0, "one", "two")
    shift(documents, seconds=20)
    documents.update_one({"_id": "d"}, [{"$set": {"outbox": entries.held("one")}}])
    assert (box.sweep(), sent()) == (1, ["d.two"])


def test_an_entry_written_by_an_older_release_is_swept(box: Outbox, documents: Documents) -> None:
    documents.insert_one({"_id": "d", "outbox": [{"effect": "told", "due": datetime.now(UTC) - timedelta(minutes=1)}]})
    assert (box.sweep(), box.sweep(), sent()) == (1, 0, ["d.told"])


def test_next_due_is_the_earliest_moment_of_all_documents(box: Outbox, documents: Documents) -> None:
    write_entries(documents, "later", HOUR_MS)
    write_entries(documents, "sooner", 5 * SECOND_MS, "one")
    documents.insert_one({"_id": "none", "outbox": []})
    due = box.next_due()
    assert due is not None
    assert abs((due - datetime.now(UTC)).total_seconds() - 5) < 2


def test_a_sweep_goes_on_until_nothing_is_left(
    box: Outbox, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_PAGE", 3)
    for number in range(8):
        write_entries(documents, f"d-{number}", 0, dispatched=False)
    assert box.sweep() == 8
    assert len(sent()) == 8


def test_a_sweep_without_time_dispatches_one_page_and_leaves_the_rest(
    box: Outbox, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_PAGE", 3)
    for number in range(8):
        write_entries(documents, f"d-{number}", 0, dispatched=False)
    with deadline.bind(Context(500)):
        assert [box.sweep(), box.sweep()] == [3, 3]
    assert box.sweep() == 2


def test_a_queue_that_is_down_leaves_every_entry_to_the_next_sweep(
    box: Outbox, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    def down(*_: object) -> None:
        raise Unavailable

    write_entries(documents, "d", 0, dispatched=False)
    with monkeypatch.context() as patch:
        patch.setattr(Sender, "send_all", down)
        # When
        with pytest.raises(Unavailable):
            box.sweep()
        with logs.invocation("test") as line:
            box.dispatch("d", [Entry("told", 0), Entry("far", HORIZON_MS * 2)])
    # Then
    assert line.counts == {"effectsLeftToSweep": 1}
    assert box.sweep() == 1


def test_dispatch_without_near_entries_asks_no_queue(box: Outbox) -> None:
    with logs.invocation("test") as line:
        box.dispatch("d", [])
        box.dispatch("d", [Entry("far", HORIZON_MS * 2)])
    assert line.round_trips == 0
