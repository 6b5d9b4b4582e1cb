"""Mailboxes: one document for each receiver, with the last number given and the count of undelivered messages.

The count is exact within sends in flight: a send counts its message before the message is stored. Messages that MongoDB
removes at their time leave the count too high, and so do processes that died. So the count is made anew at the limit,
and every hour by the sweep.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument

from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.messages import notices
from chalicelib.messages.errors import MailboxFull
from chalicelib.messages.settings import MessageSettings

INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel([("username", ASCENDING)], name="by-name"),
    IndexModel([("recountAt", ASCENDING)], name="by-recount", partialFilterExpression={"undelivered": {"$gt": 0}}),
    notices.INDEX,
]

_HOUR_MS = 3_600_000
#: A full mailbox is counted anew at most so often.
_RECOUNT_PAUSE_MS = 1_000
_RECOUNT_TRIES = 3
#: A mailbox outlives its messages.
KEPT_MS = 60 * 24 * _HOUR_MS


class Admitted(NamedTuple):
    """The number of a message, and the devices of the mailbox as of that number."""

    seq: int
    devices: tuple[str, ...]


class Mailboxes:
    """The mailboxes of all receivers. *count* counts the undelivered messages of an account."""

    def __init__(
        self, collection: Collection[dict[str, Any]], settings: MessageSettings, count: Callable[[str], int]
    ) -> None:
        self._mailboxes, self._count, self._most = collection, count, settings.undelivered_at_most
        self._quiet_ms = settings.quiet_seconds * 1_000

    def admit(self, owner: Account) -> Admitted:
        """Count one more message of *owner*, and return its number. Atomic: one update checks the limit and gives it.

        Numbers grow. A number whose message is not stored leaves a gap.

        Raises:
            MailboxFull: the mailbox is at its limit, also by a new count.
        """
        if (admitted := self._admit(owner)) is not None:
            return admitted
        self.make(owner)
        if (admitted := self._admit(owner)) is not None:
            return admitted
        if self._may_recount(owner) and self.recount(owner.account_id) and (admitted := self._admit(owner)) is not None:
            return admitted
        raise MailboxFull

    def settle(self, account_id: str, number: int) -> None:
        """Count *number* undelivered messages less. With the last one, nothing is left to notify the receiver of."""
        if number:
            less = {"undelivered": {"$max": [0, {"$subtract": ["$undelivered", number]}]}}
            mark = {"noticeDueAt": {"$cond": [{"$gt": ["$undelivered", 0]}, "$noticeDueAt", "$$REMOVE"]}}
            with reaching_mongodb():
                self._mailboxes.update_one({"_id": account_id}, [{"$set": less}, {"$set": mark}])

    def undelivered(self, account_id: str) -> int:
        """Return the count of undelivered messages."""
        with reaching_mongodb():
            found = self._mailboxes.find_one({"_id": account_id}, {"undelivered": 1})
        return found["undelivered"] if found else 0

    def recount(self, account_id: str) -> bool:
        """Count the undelivered messages anew. Return whether the count was stored.

        A count is not stored if a message was admitted or settled meanwhile, three times in a row.
        """
        for _ in range(_RECOUNT_TRIES):
            with reaching_mongodb():
                before = self._mailboxes.find_one({"_id": account_id}, {"seq": 1, "undelivered": 1})
            if before is None:
                return False
            counted = self._count(account_id)
            change = {"undelivered": counted, "recountAt": {"$add": ["$$NOW", _HOUR_MS]}}
            with reaching_mongodb():
                if self._mailboxes.update_one(before, [{"$set": change}]).matched_count:
                    return True
        return False

    def to_recount(self, limit: int) -> list[str]:
        """Return up to *limit* accounts with undelivered messages whose count is an hour old, oldest first."""
        query = {"undelivered": {"$gt": 0}, "$expr": {"$lte": ["$recountAt", "$$NOW"]}}
        with reaching_mongodb():
            found = self._mailboxes.find(query, {"_id": 1}, sort=[("recountAt", ASCENDING)], limit=limit)
            return [each["_id"] for each in found]

    def of(self, username: str) -> Iterator[str]:
        """Yield the account ids whose mailbox has *username*."""
        with reaching_mongodb():
            found = list(self._mailboxes.find({"username": username}, {"_id": 1}))
        return (each["_id"] for each in found)

    def forget(self, account_id: str) -> None:
        """Remove the mailbox. Safe to repeat."""
        with reaching_mongodb():
            self._mailboxes.delete_one({"_id": account_id})

    def _admit(self, owner: Account) -> Admitted | None:
        change = {
            "seq": {"$add": ["$seq", 1]},
            "undelivered": {"$add": ["$undelivered", 1]},
            "purgeAt": {"$add": ["$$NOW", KEPT_MS]},
            **notices.marked(self._quiet_ms),
        }
        with reaching_mongodb():
            found = self._mailboxes.find_one_and_update(
                {"_id": owner.account_id, "undelivered": {"$lt": self._most}},
                [{"$set": change}],
                {"seq": 1, "devices.id": 1},
                return_document=ReturnDocument.AFTER,
            )
        if found is None:
            return None
        return Admitted(found["seq"], tuple(each["id"] for each in found.get("devices", ())))

    def make(self, owner: Account) -> None:
        """Make the mailbox, unless there is one. Atomic."""
        empty = {"username": {"$literal": owner.username}, "seq": 0, "undelivered": 0}
        empty |= {"recountAt": {"$add": ["$$NOW", _HOUR_MS]}, "purgeAt": {"$add": ["$$NOW", KEPT_MS]}}
        new = {"$mergeObjects": [{"_id": "$_id"}, empty]}
        present = {"$gte": ["$seq", 0]}
        with reaching_mongodb():
            self._mailboxes.update_one(
                {"_id": owner.account_id}, [{"$replaceWith": {"$cond": [present, "$$ROOT", new]}}], upsert=True
            )

    def _may_recount(self, owner: Account) -> bool:
        """Return whether this call counts a full mailbox anew: one call in each second does."""
        early = {"$lt": [{"$ifNull": ["$countedAt", 0]}, {"$subtract": ["$$NOW", _RECOUNT_PAUSE_MS]}]}
        with reaching_mongodb():
            done = self._mailboxes.update_one(
                {"_id": owner.account_id, "$expr": early}, [{"$set": {"countedAt": "$$NOW"}}]
            )
        return done.matched_count == 1
