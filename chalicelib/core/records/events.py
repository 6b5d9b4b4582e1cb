"""One event per version, sent to the queues that subscribe to the kind.

A slice that follows records declares a `Subscription`; `wiring.subscriptions` gathers them. An event names the version
and carries no document: history has the document of every version.

An annotation is no version and publishes no event. Otherwise a worker that annotates the kind of its subscription
would wake itself without end. A worker whose result others wait for sends a message of the worker's own.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from chalicelib.core.queueing.queues import Message, Queue
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records.models import Record, event_id

Operation = Literal["created", "updated", "deleted"]


class Event(Message):
    """A version of a record was committed. Delivered at least once, under the same id each time."""

    kind: str
    id: str
    record_version: int
    operation: Operation
    #: When and by whom the version was committed, and the record created; empty for a version without a stored state.
    at: str = ""
    created_at: str = ""
    created_by: str = ""
    hops: int = 0

    @property
    def work_id(self) -> str:
        """The event's id, the same for every delivery."""
        return event_id(self.kind, self.id, self.record_version)


class Subscription(NamedTuple):
    """A queue that receives the event of every version of *kinds*; of all kinds, if *kinds* is empty."""

    queue: Queue
    kinds: frozenset[str] = frozenset()


def publish(records: Sequence[Record], subscriptions: Iterable[Subscription], sender: Sender) -> None:
    """Send the event of each of *records* to the subscribed queues. Safe to repeat: event ids stay the same.

    Raises:
        Unavailable: a queue cannot be reached; some events may have been sent.
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
        at=record.updated_at,
        created_at=record.created_at,
        created_by=record.created_by,
        hops=record.hops,
    )


def _operation(record: Record) -> Operation:
    if record.deleted:
        return "deleted"
    return "created" if record.created else "updated"
