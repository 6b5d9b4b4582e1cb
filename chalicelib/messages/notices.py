"""When a receiver without a connection is notified: at most once in a quiet time. Marks in the mailboxes decide.

A send marks the mailbox (``noticeDueAt``) in the update that counts the message. The last acknowledgement removes the
mark. So the sweep finds every receiver with messages that nobody acknowledged in time, also where a process died.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument

from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores.driver_errors import reaching_mongodb

_MARKED = {"noticeDueAt": {"$exists": True}}
INDEX = IndexModel([("noticeDueAt", ASCENDING)], name="by-notice", partialFilterExpression=_MARKED)


def marked(quiet_ms: int) -> dict[str, Any]:
    """Return the change that marks a mailbox for the time after *quiet_ms*, unless the mailbox is marked."""
    return {"noticeDueAt": {"$ifNull": ["$noticeDueAt", {"$add": ["$$NOW", quiet_ms]}]}}


class Notices:
    """The marks of all mailboxes. *quiet_ms*: the shortest time between two notifications of a receiver."""

    def __init__(self, mailboxes: Collection[dict[str, Any]], quiet_ms: int) -> None:
        self._mailboxes, self._quiet_ms = mailboxes, quiet_ms

    def claim(self, account_id: str) -> datetime | None:
        """Return the time of a new notification, or None within the quiet time after another. Atomic.

        The mark stays for a quiet time, so that the sweep repeats a notification that was not sent.
        """
        # A missing time is before every time.
        quiet = {"$lte": ["$noticedAt", {"$subtract": ["$$NOW", self._quiet_ms]}]}
        change = {"noticedAt": "$$NOW", "noticeDueAt": {"$add": ["$$NOW", self._quiet_ms]}}
        with reaching_mongodb():
            found = self._mailboxes.find_one_and_update(
                {"_id": account_id, "$expr": quiet},
                [{"$set": change}],
                {"noticedAt": 1},
                return_document=ReturnDocument.AFTER,
            )
        return found["noticedAt"] if found else None

    def close(self, account_id: str, noticed_at: datetime | None = None) -> None:
        """Remove the mark after the notification of *noticed_at*, or without one whatever was notified."""
        query = {"_id": account_id} | ({"noticedAt": noticed_at} if noticed_at else {})
        with reaching_mongodb():
            self._mailboxes.update_one(query, {"$unset": {"noticeDueAt": ""}})

    def due(self, limit: int) -> Sequence[Account]:
        """Return up to *limit* receivers whose mark is due, the earliest first."""
        query = {**_MARKED, "$expr": {"$lte": ["$noticeDueAt", "$$NOW"]}}
        with reaching_mongodb():
            found = self._mailboxes.find(query, {"username": 1}, sort=[("noticeDueAt", ASCENDING)], limit=limit)
            return [Account(each["username"], each["_id"]) for each in found]

    def next_due(self) -> datetime | None:
        """Return when the earliest mark is due, or None."""
        with reaching_mongodb():
            found = self._mailboxes.find_one(_MARKED, {"noticeDueAt": 1}, sort=[("noticeDueAt", ASCENDING)])
        return found["noticeDueAt"] if found else None
