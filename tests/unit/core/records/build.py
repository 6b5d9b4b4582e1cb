"""Builders: notes in any state, their stream records, and the messages of a queue."""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.queueing.queues import Queue
from chalicelib.core.records.codec import fields_of
from chalicelib.core.records.models import Change, Doc, Kind, Record, key
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.records.store import Records
from chalicelib.core.stores import clients
from chalicelib.core.stores.attributes import Item, to_attributes

LONG_AGO = "2020-01-02T03:04:05.678Z"
#: More characters than a record may have.
TOO_MANY = 350_000


def _keys(record: Record) -> Mapping[str, Any]:
    return {"title": record.doc["title"].casefold()}


#: The kind of record of these tests; the view cannot project a note without a title.
NOTE = Kind("note", _keys)
#: The queue of a subscriber to notes.
FOLLOWERS = Queue("followers", visibility_seconds=60, attempts=3, batch_size=10, concurrency=2, timeout_seconds=50)


def a_record(record_id: str = "n-1", version: int = 1, **fields: Any) -> Record:
    """A state of a note; *fields* may name any member."""
    made = f"operation-{record_id}-1"
    state: dict[str, Any] = {
        "kind": NOTE.name,
        "id": record_id,
        "version": version,
        "doc": {"title": f"Title {version}"},
        "created_at": LONG_AGO,
        "created_by": "ann",
        "updated_at": LONG_AGO,
        "updated_by": "bob",
        "operation": f"operation-{record_id}-{version}",
        "made": made,
    }
    return Record(**state | fields)


def a_tombstone(record_id: str = "n-1", version: int = 2, **fields: Any) -> Record:
    """The state of a deleted note."""
    return a_record(record_id, version, doc={}, deleted=True, **fields)


def item_of(record: Record) -> Item:
    """Return the stored item of *record*."""
    item: Item = {
        "pk": key(record.kind, record.id),
        "version": record.version,
        "doc": fields_of(record.doc),
        "createdAt": record.created_at,
        "createdBy": record.created_by,
        "updatedAt": record.updated_at,
        "updatedBy": record.updated_by,
        "operation": record.operation,
        "made": record.made,
    }
    if record.revision:
        item |= {"annotations": fields_of(record.annotations), "revision": record.revision}
    return item | ({"deleted": True} if record.deleted else {})


def streamed(item: Item, event_name: str = "MODIFY", *, old: Item | None = None) -> dict[str, Any]:
    """Return the stream record of a write that replaced *old* by *item*."""
    change = {
        "Keys": to_attributes({"pk": item["pk"]}),
        "NewImage": to_attributes(item),
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if old:
        change["OldImage"] = to_attributes(old)
    return {"eventName": event_name, "eventSource": "aws:dynamodb", "dynamodb": change}


def put(record: Record) -> Record:
    """Store *record*; no view, event or history follows."""
    clients.table("records").put(item_of(record), when="")
    return record


def made(records: Records, record_id: str = "n-1", operation: str = "make", **doc: Any) -> Record:
    """Create a note."""
    return records.create(NOTE.name, record_id, doc or {"title": "First"}, by="ann", operation=operation)


def changed(
    records: Records, expected: int | None, fields: Doc, *, record_id: str = "n-1", by: str = "bob", operation: str
) -> Record:
    """Commit one change of a note."""
    return records.commit(NOTE.name, Change(record_id, expected, fields), by=by, operation=operation)


def annotated(records: Records, fields: Doc, *, record_id: str = "n-1", operation: str) -> Record:
    """Annotate a note, as a worker does."""
    return records.annotate(NOTE.name, record_id, fields, operation=operation)


def removed(records: Records, expected: int | None, operation: str, record_id: str = "n-1") -> Record:
    """Delete a note."""
    return records.remove(NOTE.name, record_id, expected, by="eve", operation=operation)


def take_messages(queue: Queue = REPAIR) -> list[str]:
    """Take every message out of *queue*; return the bodies."""
    client, found = clients.aws("sqs"), []
    url = f"https://sqs.us-east-1.amazonaws.com/123456789012/holdfast-unit-{queue.name}"
    while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(message["Body"])
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found
