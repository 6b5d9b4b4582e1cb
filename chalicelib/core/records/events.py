"""The event that every version is, and the queues of those who asked for it.

A slice that follows records declares a `Subscription`; `wiring.subscriptions` gathers them. An event says which version
came to be and carries no document: that is in the record's history, exactly as it was.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from chalicelib.core.queueing.queues import Message, Queue
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records.models import Record, event_id

Operation = Literal["created", "updated", "deleted"]


class Event(Message):
    """One version of a record came to be. Told at least once, each time under the same id."""

    kind: str
    id: str
    record_version: int
    operation: Operation

    @property
    def work_id(self) -> str:
        """The event's id: the same however often it is told."""
        return event_id(self.kind, self.id, self.record_version)


class Subscription(NamedTuple):
    """A queue that is told of every version of records of *kinds*; of every kind, where these are empty."""

    queue: Queue
    kinds: frozenset[str] = frozenset()


def tell(records: Sequence[Record], subscriptions: Iterable[Subscription], sender: Sender) -> None:
    """Put the event of each of *records* into the queues of those who asked. Safe to repeat: ids stay the same.

    Raises:
        Unavailable: a queue cannot be reached; some events may have been told.
    """
    for subscription in subscriptions:
        wanted = [record for record in records if not subscription.kinds or record.kind in subscription.kinds]
        sender.send_all(subscription.queue, [_event(record) for record in wanted])


def _event(record: Record) -> Event:
    return Event(
        caused_by=record.operation,
        kind=record.kind,
        id=record.id,
        record_version=record.version,
        operation=_operation(record),
    )


def _operation(record: Record) -> Operation:
    if record.deleted:
        return "deleted"
    return "created" if record.created else "updated"
