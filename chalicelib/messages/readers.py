"""The devices that read an account's messages, and the marks of messages that a device has not acknowledged.

A mailbox lists its devices. A send reads the list in the update that counts the message, and the message is stored with
the list (``awaits``); a device's acknowledgement removes the device. So a join reads the keys of missing messages
alone.
Messages that were counted before a device's first join get the mark later: in steps, in the order of reading; and once
more when no send from before that join can be under way.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument

from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.messages.mailbox import KEPT_MS, Mailboxes

#: Among the devices of every message, so that one index orders all messages of a receiver. No device has this id.
EVERY = "*"
#: The order of all messages of a receiver, and of those that a device has not acknowledged.
AWAITED = "awaited"
INDEX = IndexModel(
    [(name, ASCENDING) for name in ("to", "awaits", "order", "createdAt", "purgeAt", "bytes", "_id")], name=AWAITED
)
#: Beyond every position.
END = 1 << 62

#: The most messages that one step marks.
_STEP = 500
#: A receiver that joins under ever new ids makes no message grow without bound.
_MOST_MARKS = 100
#: No function runs for so long, so after this time no send from before a device's first join is under way.
_SETTLED = timedelta(minutes=2)
#: A message may become visible so long after its time was taken.
_GRACE = timedelta(seconds=5)


class Reader(NamedTuple):
    """A device of a mailbox. *now* is the server's time of the reading."""

    device: str
    #: The first join.
    since: datetime
    #: The position up to which earlier messages have the mark.
    marked: int
    #: Whether the messages of sends that were under way at the first join have the mark, too.
    settled: bool
    now: datetime

    @property
    def settle_at(self) -> datetime | None:
        """The time at which messages of sends under way get the mark of the device; None if they have the mark."""
        return None if self.settled else self.since + _SETTLED


def noted(device: str) -> dict[str, Any]:
    """Return the change of a message that *device* acknowledged, for an update by a pipeline."""
    acked = {"$setUnion": [{"$ifNull": ["$acked", []]}, [{"$literal": device}]]}
    return {"awaits": {"$setDifference": [{"$ifNull": ["$awaits", []]}, [{"$literal": device}]]}, "acked": acked}


class Readers:
    """The devices of all mailboxes, at most *most* of each: the one whose last join is the oldest is forgotten."""

    def __init__(
        self,
        boxes: Collection[dict[str, Any]],
        messages: Collection[dict[str, Any]],
        mailboxes: Mailboxes,
        most: int,
    ) -> None:
        self._boxes, self._messages, self._mailboxes, self._most = boxes, messages, mailboxes, most

    def register(self, owner: Account, device: str) -> Reader:
        """Add *device* to the mailbox of *owner*, unless it is there. Messages counted from now on await it. Atomic."""
        if (found := self._register(owner, device)) is None:
            self._mailboxes.make(owner)
            found = self._register(owner, device)
        if found is None:
            # The account was deleted between two steps.
            return self.register(owner, device)
        kept = found["devices"][-1]
        return Reader(device, kept["since"], kept["marked"], kept["settled"], found["now"])

    def mark(self, account_id: str, device: str, after: int) -> int:
        """Mark the next messages after the position *after*. Return the new position, `END` at the end.

        Safe to repeat, also at the same time. Leaves out messages that the device has acknowledged.
        """
        later = {"to": account_id, "awaits": EVERY, "order": {"$gt": after}}
        with reaching_mongodb():
            cursor = self._messages.find(later, {"order": 1}, sort=[("order", ASCENDING)], limit=_STEP, hint=AWAITED)
            found = list(cursor)
        self._mark([each["_id"] for each in found], device)
        marked = int(found[-1]["order"]) if len(found) == _STEP else END
        self._note(account_id, device, {"$max": {"devices.$.marked": marked}})
        return marked

    def settle(self, account_id: str, device: str, since: datetime) -> Sequence[str]:
        """Mark the messages whose sends were under way at *since*, the device's first join. Return their ids.

        Safe to repeat. Reads the index keys of all kept messages of the receiver, once for each device.
        """
        unmarked = {
            "$and": [{"awaits": EVERY}, {"awaits": {"$ne": device}}, _unmarked(device)],
            "createdAt": {"$gte": since - _GRACE},
        }
        with reaching_mongodb():
            found = list(self._messages.find({"to": account_id, **unmarked}, {"_id": 1}, hint=AWAITED))
        late = [str(each["_id"]) for each in found]
        self._mark(late, device)
        self._note(account_id, device, {"$set": {"devices.$.settled": True}})
        return late

    def _mark(self, message_ids: Sequence[str], device: str) -> None:
        if message_ids:
            query = {"_id": {"$in": list(message_ids)}, **_unmarked(device)}
            with reaching_mongodb():
                self._messages.update_many(query, {"$addToSet": {"awaits": device}})

    def _note(self, account_id: str, device: str, change: dict[str, Any]) -> None:
        with reaching_mongodb():
            self._boxes.update_one({"_id": account_id, "devices.id": device}, change)

    def _register(self, owner: Account, device: str) -> dict[str, Any] | None:
        """Move the device to the end of the list, or add it there."""
        known, own = {"$ifNull": ["$devices", []]}, {"$literal": device}
        others = {"$filter": {"input": known, "cond": {"$ne": ["$$this.id", own]}}}
        same = {"$filter": {"input": known, "cond": {"$eq": ["$$this.id", own]}}}
        new = [{"id": own, "since": "$$NOW", "marked": 0, "settled": False}]
        listed = {"$concatArrays": [others, {"$cond": [{"$in": [own, {"$ifNull": ["$devices.id", []]}]}, same, new]}]}
        change = {
            "devices": {"$slice": [listed, -self._most]},
            "purgeAt": {"$max": ["$purgeAt", {"$add": ["$$NOW", KEPT_MS]}]},
        }
        with reaching_mongodb():
            return self._boxes.find_one_and_update(
                {"_id": owner.account_id},
                [{"$set": change}],
                {"devices": 1, "now": "$$NOW"},
                return_document=ReturnDocument.AFTER,
            )


def _unmarked(device: str) -> dict[str, Any]:
    """Return the condition of messages that may take the mark of *device*."""
    return {"acked": {"$ne": device}, f"awaits.{_MOST_MARKS}": {"$exists": False}}
