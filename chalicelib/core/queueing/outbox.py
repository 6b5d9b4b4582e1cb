"""The outbox: the side effects of a change of a MongoDB document, stored in the same update.

A document's ``outbox`` holds an entry for each effect from the change until the effect's worker has ended the entry
(C. Richardson, "Pattern: Transactional outbox"). The process that made the change dispatches the entries to the queue;
the sweep dispatches entries that a dead process left, and entries that are due later. A dispatched entry stays, held
until a time by which the worker must have ended the entry, so `Outbox.next_due` sees effects that SQS hides. An effect
may be dispatched more than once and is done once, because the queue's worker claims the effect.

MongoDB removes no document with entries: the end of the last entry sets ``purgeAt`` (`entries.kept`). An update that
writes entries appends the same stages.

An entry of a lane is not named by its message: the message says that the lane has work (`lanes`).
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo import ASCENDING, IndexModel, UpdateOne

from chalicelib.core.queueing import entries as expressions
from chalicelib.core.queueing.entries import HORIZON_MS, Entry, held
from chalicelib.core.queueing.queues import Message, Queue
from chalicelib.core.queueing.sender import Parcel, Sender
from chalicelib.core.queueing.wakes import Wake
from chalicelib.core.runtime import deadline, logs
from chalicelib.core.stores.driver_errors import reaching_mongodb

if TYPE_CHECKING:
    from pymongo.collection import Collection

#: How many documents one step of a sweep reads.
_PAGE = 500
#: The time that a page takes with slow stores; with less time left, the next sweep continues.
_ENOUGH_MS = 1_000

#: The index contains only documents with entries.
INDEX = IndexModel(
    [("outbox.due", ASCENDING)], name="marked", partialFilterExpression={"outbox.due": {"$exists": True}}
)


class Due(NamedTuple):
    """An entry and the id of its document."""

    document_id: str
    entry: Entry


class Address(NamedTuple):
    """The message of an effect, and the queue of the message."""

    queue: Queue
    message: Message


class Outbox:
    """The entries of one collection. *address* maps a document's id and an effect to queue and message.

    *lanes* is the queue of the lanes to which entries of this collection belong.
    """

    def __init__(
        self,
        collection: "Collection[dict[str, Any]]",
        address: Callable[[str, str], Address],
        sender: Callable[[], Sender],
        *,
        lanes: Queue | None = None,
    ) -> None:
        self._documents, self._address, self._sender, self._lanes = collection, address, sender, lanes

    def dispatch(self, document_id: str, entries: Sequence[Entry]) -> None:
        """Send the messages of those *entries* that are due within `HORIZON_MS`. Called right after the change.

        Never raises, so the change stands: the sweep dispatches entries that the queue did not take.
        """
        soon = [Due(document_id, each) for each in entries if each.due_in_ms <= HORIZON_MS]
        try:
            self._send(soon)
        except Exception as error:  # noqa: BLE001 # the change is committed, whatever the queue answers
            logs.line().count("effectsLeftToSweep", len(soon))
            logs.failed("dispatch_failed", error)

    def sweep(self) -> int:
        """Dispatch the entries due within `HORIZON_MS` and not held; return the number. Safe to run twice.

        Dispatches at least one page, and more pages while the time allows; the next sweep continues.

        Raises:
            Unavailable: MongoDB or SQS cannot be reached; some entries may have been dispatched.
        """
        count, more, now = 0, True, self._now()
        while more:
            due, documents = self._due(now)
            self._send(due)
            self._hold(due)
            count += len(due)
            more = documents == _PAGE and bool(due) and deadline.allows(_ENOUGH_MS)
        return count

    def end(self, document_id: str, effect: str, *, dead: bool) -> None:
        """Remove the entry of *effect* after the effect was done or, if *dead*, dead-lettered. Safe to repeat."""
        with reaching_mongodb():
            self._documents.update_one({"_id": document_id}, expressions.ended(effect, dead=dead))

    def postpone(self, document_id: str, effect: str, seconds: float) -> None:
        """Make the entry due in *seconds*, when its message comes again. The sweep sends no message meanwhile."""
        with reaching_mongodb():
            self._documents.update_one(
                {"_id": document_id, "outbox.effect": effect},
                [{"$set": {"outbox": expressions.postponed(effect, seconds)}}],
            )

    def next_due(self) -> datetime | None:
        """Return when the earliest entry is due, or None; counts dispatched entries that no worker has ended."""
        with reaching_mongodb():
            found = self._documents.find({"outbox.due": {"$exists": True}}, {"outbox.due": 1})
            first = next(iter(found.sort("outbox.due", ASCENDING).limit(1)), None)
        return min(each["due"] for each in first["outbox"]) if first else None

    def _now(self) -> datetime:
        """Return the server's time. A process whose clock is behind would find entries late."""
        database = self._documents.database
        with reaching_mongodb():
            answer = database.command("hello", codec_options=self._documents.codec_options)
        now: datetime = answer["localTime"]
        return now

    def _due(self, now: datetime) -> tuple[list[Due], int]:
        """Return the entries to dispatch of up to `_PAGE` documents, oldest first, and the number of documents.

        *now* narrows the query; the server's clock at the time of reading decides.
        """
        ahead = now + timedelta(milliseconds=HORIZON_MS)
        free = {"$elemMatch": {"due": {"$lte": ahead}, "heldUntil": {"$not": {"$gt": now}}}}
        with reaching_mongodb():
            found = self._documents.find({"outbox.due": {"$lte": ahead}, "outbox": free}, _TO_DISPATCH)
            documents = list(found.sort("outbox.due", ASCENDING).limit(_PAGE))
        due = [
            Due(document["_id"], each)
            for document in documents
            for each in expressions.read(document["outbox"], free=True)
            if each.due_in_ms <= HORIZON_MS
        ]
        return due, len(documents)

    def _send(self, due: Sequence[Due]) -> None:
        """Send one message for each entry, and one for all entries of a lane: the earliest entry wakes the lane."""
        parcels: dict[tuple[Queue, Message], Parcel] = {}
        for each in due:
            queue, message = self._addressed(each)
            # Rounded up: an effect may be late, and never early.
            delay = max(0, -(-each.entry.due_in_ms // 1000))
            known = parcels.get((queue, message))
            if known is None or delay < known.delay_seconds:
                parcels[queue, message] = Parcel(message, delay, group=each.entry.owner)
        for queue in dict.fromkeys(queue for queue, _ in parcels):
            self._sender().send_all(queue, [parcel for (to, _), parcel in parcels.items() if to is queue])

    def _addressed(self, due: Due) -> Address:
        if due.entry.lane is None or self._lanes is None:
            return self._address(due.document_id, due.entry.effect)
        return Address(self._lanes, Wake(owner=due.entry.owner, lane=due.entry.lane))

    def _hold(self, due: Sequence[Due]) -> None:
        writes = [
            UpdateOne({"_id": document_id}, [{"$set": {"outbox": held(each.effect)}}]) for document_id, each in due
        ]
        if writes:
            with reaching_mongodb():
                self._documents.bulk_write(writes, ordered=False)


_TO_DISPATCH = {"outbox": expressions.shown()}
