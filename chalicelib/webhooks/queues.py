"""The queues of webhooks: events to be matched with webhooks, and lanes of deliveries to be sent."""

from chalicelib.core.queueing.queues import Queue
from chalicelib.core.records.events import Event

#: Events of records and of documents. A repeat makes no second delivery. A batch ends within the lease of its claims,
#: 30 s, so the messages of a killed worker come again right after.
EVENT = Queue(
    "event", visibility_seconds=35, attempts=12, batch_size=10, concurrency=4, timeout_seconds=35, finish="batch"
)
#: Wakes lanes with deliveries: one lane for each webhook. A batch of one: a receiver that hangs holds up no other lane.
#: A turn of 10 s, one call of 15 s, and 10 s for MongoDB to come back. The message of a killed worker comes again then.
WEBHOOK = Queue("webhook", visibility_seconds=35, attempts=12, batch_size=1, concurrency=20, timeout_seconds=35)
#: The same for webhooks of high priority.
URGENT = Queue("urgent", visibility_seconds=35, attempts=12, batch_size=1, concurrency=8, timeout_seconds=35)


class News(Event):
    """An event of a record's version, or of a document that is no record.

    A document of MongoDB may change or expire before its event is worked off, and has no history: its event carries the
    public JSON of the document.
    """

    #: The event's name after the kind, such as ``resolved``, and the document's public JSON; empty for records.
    name: str = ""
    text: str = ""

    @property
    def work_id(self) -> str:
        """The event's id, the same for every delivery."""
        return f"{super().work_id}/{self.name}" if self.name else super().work_id


def queue_of(priority: str) -> Queue:
    """Return the queue of the deliveries of webhooks with *priority*."""
    return URGENT if priority == "high" else WEBHOOK
