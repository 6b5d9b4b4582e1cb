"""A collection with lanes: documents with entries, a worker that drains lanes, and its queues on moto."""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymongo.collection import Collection
from pymongo.database import Database

from chalicelib.core.coordination.claims import Claim
from chalicelib.core.queueing import drain, entries, lanes, outbox, wiring
from chalicelib.core.queueing.drain import Drain
from chalicelib.core.queueing.lanes import Item, Lanes
from chalicelib.core.queueing.outbox import Address, Outbox
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.queueing.slots import Lane, Limits, Slots
from chalicelib.core.queueing.wakes import Wake
from chalicelib.core.stores import clients
from tests.support.queue import record as sqs_record
from tests.support.queue import sqs_event

if TYPE_CHECKING:
    from collections.abc import Callable

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


class LaneWorker:
    """A collection with an outbox, and the workers of its lanes."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self.documents, self.owners = database["documents-with-lanes"], database["owners-of-lanes"]
        self.documents.create_indexes([outbox.INDEX, *lanes.INDEXES])
        self.sqs = clients.aws("sqs")
        for name in (CALLS.name, CALLS.dead_letters):
            self.sqs.create_queue(QueueName=f"holdfast-unit-{name}")
        limits = Limits(per_owner=2, per_lane=2)
        self.drain = Drain(CALLS, Lanes(self.documents), Slots(self.owners, limits), call_ms=15_000)
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
