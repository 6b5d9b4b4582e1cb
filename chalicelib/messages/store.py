"""Messages in one MongoDB collection. One atomic update decides each step, by the server's clock.

An undelivered message has a ``rank`` above 0: its position in the receiver's order. A delivered one has the rank 0, and
keeps its position as ``order``. `readers` has the marks of devices that have not acknowledged the message.
Every query excludes expired messages itself, so no reader depends on the TTL monitor.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument
from pymongo.errors import DuplicateKeyError

from chalicelib.core.runtime import logs
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.messages import readers
from chalicelib.messages.errors import MailboxFull
from chalicelib.messages.mailbox import Admitted, Mailboxes
from chalicelib.messages.models import Kept, Message, NewMessage, Receipt, Status, message_of, rank
from chalicelib.messages.settings import MessageSettings

#: The receiver's order. Holds all that chooses a batch and counts messages, so that neither reads a document.
ORDER = "in-order"
INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel(
        [(name, ASCENDING) for name in ("to", "rank", "createdAt", "purgeAt", "bytes", "_id")],
        name=ORDER,
    ),
    IndexModel(
        [("from", ASCENDING), ("clientMessageId", ASCENDING)],
        name="once",
        unique=True,
        partialFilterExpression={"clientMessageId": {"$gt": ""}},
    ),
    readers.INDEX,
]

_DAY_MS = 24 * 3_600_000
#: More than the bytes of a message in a batch besides the texts of its sender.
_ENVELOPE_BYTES = 600
#: The most messages that one step chooses.
_MOST = 500
KEPT = {"$gt": ["$purgeAt", "$$NOW"]}
UNDELIVERED = {"rank": {"$gt": 0}}


#: From the first time on, and before the second.
Between = tuple[datetime, datetime]


class View(NamedTuple):
    """Messages to read: those that *device* has not acknowledged, up to a position; without a device, undelivered."""

    device: str | None = None
    up_to: int = readers.END


ANY_DEVICE = View()


class Ranked(NamedTuple):
    """A message, by its position in the receiver's order."""

    message_id: str
    rank: int


class MessageStore:
    """Messages by id, by receiver, and by the sender's own id."""

    def __init__(self, collection: Collection[dict[str, Any]], settings: MessageSettings, mailboxes: Mailboxes) -> None:
        self._messages, self._mailboxes = collection, mailboxes
        self._delivered_ms = settings.delivered_days * _DAY_MS
        self._undelivered_ms = settings.undelivered_days * _DAY_MS

    def put(self, message_id: str, sender: Account, receiver: Account, new: NewMessage) -> Kept:
        """Store a message under *message_id*, unless it is stored, under this id or the sender's own id.

        Safe to repeat, also at the same time: one message is stored, and each call returns it.

        Raises:
            MailboxFull: the receiver is at the limit of undelivered messages, and the message is not stored yet.
        """
        try:
            admitted = self._mailboxes.admit(receiver)
        except MailboxFull:
            if found := self._find(message_id, sender, new):
                return _kept(found, receiver)
            raise
        found = self._insert(message_id, sender, receiver, new, admitted)
        if found is None or found["seq"] != admitted.seq:
            self._mailboxes.settle(receiver.account_id, 1)
            found = found or self._find(message_id, sender, new)
        if found is None:
            # The stored one was removed between two steps.
            return self.put(message_id, sender, receiver, new)
        return _kept(found, receiver, new=found["seq"] == admitted.seq)

    def acknowledge(
        self, owner: Account, message_ids: Sequence[str], device: str | None, *, unsettled: bool = False
    ) -> list[Receipt]:
        """Mark the messages of *owner* among *message_ids* delivered. Return a receipt for each delivered one.

        Atomic for each message: the first acknowledgement counts, and each one notes its *device*, if joins name it.
        With *unsettled*, earlier messages may still lack the mark of the device. Safe to repeat; a repeat returns the
        receipts again.
        """
        change = {"rank": 0, "deliveredAt": "$$NOW", "purgeAt": {"$add": ["$$NOW", self._delivered_ms]}}
        change |= {"device": {"$literal": device}, **(readers.noted(device) if device else {})}
        mine = {"_id": {"$in": list(message_ids)}, "to": owner.account_id}
        with reaching_mongodb():
            done = self._messages.update_many({**mine, **UNDELIVERED, "$expr": KEPT}, [{"$set": change}])
            if device and done.modified_count < len(message_ids):
                again = {"acked": {"$ne": device}} if unsettled else {"awaits": device}
                self._messages.update_many({**mine, **again}, [{"$set": readers.noted(device)}])
        self._mailboxes.settle(owner.account_id, done.modified_count)
        return self._receipts(mine, Status.DELIVERED)

    def read(
        self, owner: Account, message_ids: Sequence[str], device: str | None, *, unsettled: bool = False
    ) -> list[Receipt]:
        """Mark the messages of *owner* among *message_ids* read, and delivered. Return a receipt for each.

        The first device that has shown a message counts. Safe to repeat; a repeat returns the receipts again.
        """
        self.acknowledge(owner, message_ids, device, unsettled=unsettled)
        mine = {"_id": {"$in": list(message_ids)}, "to": owner.account_id}
        change = {"readAt": "$$NOW", "readOn": {"$literal": device}}
        with reaching_mongodb():
            self._messages.update_many({**mine, "readAt": None, "$expr": KEPT}, [{"$set": change}])
        return self._receipts(mine, Status.READ)

    def choose(
        self,
        account_id: str,
        after: int,
        room_bytes: int,
        between: Between | None = None,
        view: View = ANY_DEVICE,
    ) -> list[Ranked]:
        """Return the next messages of *view* after the rank *after*, in order, of *room_bytes* together.

        With *between*, only messages that were stored within these times. The first one always stands. Reads the index
        alone.
        """
        chosen: list[Ranked] = []
        for each in self._ordered(account_id, after, between, view):
            room_bytes -= each["bytes"] + _ENVELOPE_BYTES
            if chosen and room_bytes < 0:
                break
            chosen.append(Ranked(each["_id"], each["rank"]))
        return chosen

    def load(self, message_ids: Sequence[str], view: View = ANY_DEVICE) -> list[Message]:
        """Return those of *message_ids* that are of *view*, in the receiver's order.

        A document that cannot be read is logged and left out, and delays no other.
        """
        wanted = {"awaits": view.device} if view.device else UNDELIVERED
        with reaching_mongodb():
            found = list(self._messages.find({"_id": {"$in": list(message_ids)}, **wanted, "$expr": KEPT}))
        return [message for each in sorted(found, key=lambda each: each["order"]) for message in _rendered(each)]

    def page(self, account_id: str, limit: int, after: str | None) -> Iterator[tuple[str, Message]]:
        """Yield up to *limit* undelivered messages of a receiver with their positions, in the receiver's order."""
        query = {"to": account_id, "rank": {"$gt": int(after or 0)}, "$expr": KEPT}
        with (
            reaching_mongodb(),
            self._messages.find(query, sort=[("rank", ASCENDING)], limit=limit, hint=ORDER) as found,
        ):
            for each in found:
                for message in _rendered(each):
                    yield str(each["rank"]), message

    def count(self, account_id: str) -> int:
        """Return the number of undelivered messages of a receiver. Reads the index alone."""
        # A condition on `$$NOW` makes a query read documents; an aggregation computes the same from the index.
        live = {"$group": {"_id": None, "live": {"$sum": {"$cond": [KEPT, 1, 0]}}}}
        pipeline: list[dict[str, Any]] = [{"$match": {"to": account_id, **UNDELIVERED}}, live]
        with reaching_mongodb(), self._messages.aggregate(pipeline, hint=ORDER) as found:
            return next((each["live"] for each in found), 0)

    def delete(self, account_id: str) -> int:
        """Delete the undelivered messages of a receiver; return how many. Safe to repeat."""
        with reaching_mongodb():
            deleted = self._messages.delete_many({"to": account_id, **UNDELIVERED}).deleted_count
        self._mailboxes.settle(account_id, deleted)
        return deleted

    def forget(self, username: str) -> None:
        """Delete every message to the user called *username*, and the mailbox. Safe to repeat."""
        for account_id in self._mailboxes.of(username):
            with reaching_mongodb():
                self._messages.delete_many({"to": account_id})
            self._mailboxes.forget(account_id)

    def _insert(
        self, message_id: str, sender: Account, receiver: Account, new: NewMessage, admitted: Admitted
    ) -> dict[str, Any] | None:
        """Store the message, and return the document with its id; None if the sender's own id is stored already."""
        literal: dict[str, Any] = {
            "to": receiver.account_id,
            "toName": receiver.username,
            "from": sender.account_id,
            "fromName": sender.username,
            "chatId": new.chat_id,
            "message": new.message,
            "clientMessageId": new.client_message_id,
            "priority": new.priority.value,
            "awaits": [readers.EVERY, *admitted.devices],
        }
        position = rank(admitted.seq, new.priority)
        fields: dict[str, Any] = {
            "_id": "$_id",
            "seq": admitted.seq,
            "rank": position,
            "order": position,
            "bytes": new.texts_bytes,
            "createdAt": "$$NOW",
            "purgeAt": {"$add": ["$$NOW", self._undelivered_ms]},
            **{name: {"$literal": value} for name, value in literal.items()},
        }
        once = [{"$replaceWith": {"$cond": [{"$gt": ["$seq", 0]}, "$$ROOT", fields]}}]
        with reaching_mongodb():
            try:
                return self._messages.find_one_and_update(
                    {"_id": message_id}, once, upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:
                return None

    def _ordered(self, account_id: str, after: int, between: Between | None, view: View) -> Iterator[dict[str, Any]]:
        """Yield the ranks of the messages of *view* after *after*: `_MOST` in one step, and of these the kept ones.

        A step whose messages have all expired is followed by another.
        """
        place, index = ("order", readers.AWAITED) if view.device else ("rank", ORDER)
        mine = {"to": account_id, **({"awaits": view.device} if view.device else {})}
        shown = {"rank": f"${place}", "bytes": 1, "live": KEPT}
        stored = {"createdAt": {"$gte": between[0], "$lt": between[1]}} if between else {}
        while True:
            pipeline: list[dict[str, Any]] = [
                {"$match": {**mine, place: {"$gt": after, "$lte": view.up_to}, **stored}},
                {"$sort": {place: 1}},
                {"$limit": _MOST},
                {"$project": shown},
            ]
            with reaching_mongodb(), self._messages.aggregate(pipeline, hint=index) as cursor:
                found = list(cursor)
            live = [each for each in found if each["live"]]
            yield from live
            if live or len(found) < _MOST:
                return
            after = found[-1]["rank"]

    def _find(self, message_id: str, sender: Account, new: NewMessage) -> dict[str, Any] | None:
        """Return the stored message with either id. One whose time is over is removed, as its id is free again."""
        same: list[dict[str, Any]] = [{"_id": message_id, "from": sender.account_id}]
        if new.client_message_id:
            same.append({"from": sender.account_id, "clientMessageId": new.client_message_id})
        with reaching_mongodb():
            self._messages.delete_many({"$or": same, "$expr": {"$not": [KEPT]}})
            return self._messages.find_one({"$or": same})

    def _receipts(self, mine: Mapping[str, Any], status: Status) -> list[Receipt]:
        read = status is Status.READ
        done: dict[str, Any] = {"readAt": {"$type": "date"}} if read else {"rank": 0}
        device = "readOn" if read else "device"
        shown = {"from": 1, "fromName": 1, "clientMessageId": 1, device: 1}
        with reaching_mongodb():
            found = list(self._messages.find({**mine, **done, "$expr": KEPT}, shown))
        return [
            Receipt(Account(each["fromName"], each["from"]), each["_id"], each["clientMessageId"], status, each[device])
            for each in found
        ]


def _rendered(found: dict[str, Any]) -> Iterator[Message]:
    """Yield the document as a message, or nothing if the document has another form."""
    try:
        yield message_of(found)
    except (ValueError, KeyError) as error:
        logs.line().count("messagesUnreadable")
        logs.failed("message_unreadable", error)


def _kept(found: dict[str, Any], receiver: Account, *, new: bool = False) -> Kept:
    status = Status.BUFFERED if found["rank"] else Status.DELIVERED
    return Kept(found["_id"], receiver, message_of(found), status, new)
