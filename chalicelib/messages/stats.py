"""Figures of the buffer, and the daily report. Counts come from one aggregation over an index of messages."""

from typing import Any

from pymongo.collection import Collection

from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.messages.models import BufferStats, Report, Undelivered
from chalicelib.messages.store import KEPT, ORDER

#: The receivers that the figures name.
_TOP = 20
_DAY_MS = 24 * 3_600_000
#: Delivered messages are kept for a week, so that of the messages of the week none is missing.
_WEEK_MS = 7 * _DAY_MS
#: The document that says when the next report is due, among the mailboxes.
_REPORT = "report"

_UNDELIVERED = {"$gt": ["$rank", 0]}


class Stats:
    """The figures of all *messages*. *mailboxes* have the names of receivers, and the time of the next report."""

    def __init__(self, messages: Collection[dict[str, Any]], mailboxes: Collection[dict[str, Any]]) -> None:
        self._messages, self._mailboxes = messages, mailboxes

    def buffer(self) -> BufferStats:
        """Return how many messages are kept, by the server's clock. Reads the index alone, once for each message."""
        top = [
            {"$match": {"undelivered": {"$gt": 0}}},
            {"$sort": {"undelivered": -1, "_id": 1}},
            {"$limit": _TOP},
            {"$lookup": {"from": self._mailboxes.name, "localField": "_id", "foreignField": "_id", "as": "mailbox"}},
        ]
        total = {"$group": {"_id": None, **_sums("$undelivered", "$delivered", "$oldest")}}
        pipeline = [*_by_receiver(), {"$facet": {"total": [total], "top": top}}]
        with reaching_mongodb(), self._messages.aggregate(pipeline, hint=ORDER) as found:
            (answer,) = found
        counted: dict[str, Any] = next(iter(answer["total"]), {"undelivered": 0, "delivered": 0, "oldest": None})
        return BufferStats(
            undelivered=counted["undelivered"],
            delivered=counted["delivered"],
            oldest_undelivered_at=counted["oldest"],
            by_receiver=[_receiver(each) for each in answer["top"]],
        )

    def report(self) -> Report | None:
        """Return the report of a day, once in 24 hours over all processes; else None. Atomic."""
        if not self._due():
            return None
        recent = {"$and": [KEPT, {"$gt": ["$createdAt", {"$subtract": ["$$NOW", _WEEK_MS]}]}]}
        sums = {
            "undelivered": {"$sum": {"$cond": [{"$and": [KEPT, _UNDELIVERED]}, 1, 0]}},
            "sent": {"$sum": {"$cond": [recent, 1, 0]}},
            "delivered": {"$sum": {"$cond": [{"$and": [recent, {"$not": [_UNDELIVERED]}]}, 1, 0]}},
        }
        pipeline: list[dict[str, Any]] = [
            {"$match": {"to": {"$gt": ""}}},
            {"$project": {"_id": 0, "rank": 1, "createdAt": 1, "purgeAt": 1}},
            {"$group": {"_id": None, **sums}},
        ]
        with reaching_mongodb(), self._messages.aggregate(pipeline, hint=ORDER) as found:
            counted = next(iter(found), {"undelivered": 0, "sent": 0, "delivered": 0})
        with reaching_mongodb():
            size = self._messages.database.command("collStats", self._messages.name)
        return Report(
            undelivered=counted["undelivered"],
            sent=counted["sent"],
            delivered=counted["delivered"],
            storage_bytes=int(size["storageSize"] + size["totalIndexSize"]),
        )

    def _due(self) -> bool:
        """Return whether this call is the one that reports, and set the time of the next report."""
        next_one = {"$add": ["$$NOW", _DAY_MS]}
        first = {"reportAt": {"$ifNull": ["$reportAt", next_one]}}
        with reaching_mongodb():
            due = {"_id": _REPORT, "$expr": {"$lte": ["$reportAt", "$$NOW"]}}
            if self._mailboxes.update_one(due, [{"$set": {"reportAt": next_one}}]).matched_count:
                return True
            return self._mailboxes.update_one({"_id": _REPORT}, [{"$set": first}], upsert=True).upserted_id is not None


def _by_receiver() -> list[dict[str, Any]]:
    """Return the stages that count the messages of each receiver."""
    shown = {"_id": 0, "to": 1, "rank": 1, "createdAt": 1, "purgeAt": 1}
    live = {"$cond": [{"$and": [KEPT, _UNDELIVERED]}, 1, 0]}
    delivered = {"$cond": [{"$and": [KEPT, {"$not": [_UNDELIVERED]}]}, 1, 0]}
    oldest = {"$cond": [{"$and": [KEPT, _UNDELIVERED]}, "$createdAt", None]}
    return [
        {"$match": {"to": {"$gt": ""}}},
        {"$project": shown},
        {"$group": {"_id": "$to", **_sums(live, delivered, oldest)}},
    ]


def _sums(undelivered: Any, delivered: Any, oldest: Any) -> dict[str, Any]:
    return {"undelivered": {"$sum": undelivered}, "delivered": {"$sum": delivered}, "oldest": {"$min": oldest}}


def _receiver(found: dict[str, Any]) -> Undelivered:
    name = found["mailbox"][0]["username"] if found["mailbox"] else ""
    return Undelivered(username=name, undelivered=found["undelivered"], oldest_undelivered_at=found["oldest"])
