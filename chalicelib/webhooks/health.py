"""Health of webhooks: since when one fails, which lanes have work, and whether a delivery was forgotten.

A webhook that brings nothing but failures for five days is disabled. Deliveries that are finished count, pending ones
do not: a burst of deliveries to a dead receiver would keep some pending for weeks.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo import ASCENDING, DESCENDING, IndexModel

from chalicelib.core.queueing.entries import HORIZON_MS
from chalicelib.core.queueing.queues import Load
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.webhooks.models import Status

if TYPE_CHECKING:
    from pymongo.database import Database

INDEXES = [
    IndexModel(
        [("failingSince", ASCENDING)], name="failing", partialFilterExpression={"failingSince": {"$exists": True}}
    )
]

#: A webhook whose failures span less than this is not given up: it may have had a single bad delivery.
_SPAN = timedelta(days=1)
#: A delivery that nobody took so long after it was due, in a lane that is open, counts as forgotten.
_GRACE = timedelta(minutes=3)


class Waiting(NamedTuple):
    """A lane with deliveries that are due or in flight, and the time until the earliest may be claimed."""

    webhook_id: str
    due_in_ms: int


class Health:
    """Reads deliveries and heads; writes the marks of failing webhooks."""

    def __init__(self, database: "Database[dict[str, Any]]", failing: timedelta) -> None:
        """Give a webhook up after the time *failing* with nothing but failures."""
        self._deliveries, self._heads, self._failing = database.deliveries, database.webhook_heads, failing

    def fail(self, webhook_id: str, *, dead: bool) -> None:
        """Mark that a call failed, and whether the delivery is *dead* by it. Keeps the time of the first failure."""
        marks: dict[str, Any] = {"failingSince": {"$ifNull": ["$failingSince", "$$NOW"]}}
        if dead:
            marks["lastDead"] = "$$NOW"
        with reaching_mongodb():
            self._heads.update_one({"_id": webhook_id}, [{"$set": marks}], upsert=True)

    def given_up(self) -> list[str]:
        """Return the webhooks that brought nothing but failures for too long.

        A delivery that succeeded meanwhile moves the mark of its webhook to the time of the last success.
        """
        now = self._now()
        query = {"failingSince": {"$lte": now - self._failing}}
        with reaching_mongodb():
            found = list(self._heads.find(query))
        return [head["_id"] for head in found if self._failed_only(head)]

    def clear(self, webhook_id: str) -> None:
        """Forget that the webhook fails: it was enabled again, or disabled."""
        with reaching_mongodb():
            self._heads.update_one({"_id": webhook_id}, {"$unset": {"failingSince": "", "lastDead": ""}})

    def forget(self, webhook_id: str) -> None:
        """Forget a deleted webhook, once all its deliveries have ended."""
        with reaching_mongodb():
            self._heads.delete_one({"_id": webhook_id})

    def known(self) -> list[str]:
        """Return every webhook with a head: those that live, and deleted ones with deliveries."""
        with reaching_mongodb():
            return [head["_id"] for head in self._heads.find({}, {"_id": 1})]

    def waiting(self, opens_in_ms: Mapping[str, int]) -> list[Waiting]:
        """Return those of the lanes that have a delivery to be claimed within the horizon of the sweep.

        *opens_in_ms* names the lanes that may send, and the time until each opens: no delivery is claimed before.
        """
        now = self._now()
        found = [(webhook_id, opens, self._first(webhook_id)) for webhook_id, opens in opens_in_ms.items()]
        waiting = [Waiting(webhook_id, max(_ms(first - now), opens)) for webhook_id, opens, first in found if first]
        return [each for each in waiting if each.due_in_ms <= HORIZON_MS]

    def due(self, webhook_id: str, most: int) -> int:
        """Return how many deliveries of the lane may be claimed; at most *most* are counted."""
        with reaching_mongodb():
            query = {"webhook": webhook_id, "due": {"$lte": self._now()}}
            return self._deliveries.count_documents(query, limit=most, hint="lane-by-due")

    def pending(self, webhook_id: str, most: int) -> tuple[int, datetime | None]:
        """Return how many deliveries are due or in flight, at most *most*, and when the first may be claimed."""
        with reaching_mongodb():
            query = {"webhook": webhook_id, "due": {"$exists": True}}
            number = self._deliveries.count_documents(query, limit=most, hint="lane-by-due")
        return number, self._first(webhook_id) if number else None

    def due_in_ms(self, webhook_id: str) -> int | None:
        """Return the time until the lane's earliest delivery may be claimed, or None if no delivery is pending."""
        shown = {"left": {"$subtract": ["$due", "$$NOW"]}}
        with reaching_mongodb():
            found = self._deliveries.find_one(
                {"webhook": webhook_id, "due": {"$exists": True}}, shown, sort=[("due", ASCENDING)], hint="lane-by-due"
            )
        return int(found["left"]) if found else None

    def next_due(self, opens_in_ms: Mapping[str, int], enabled: Sequence[str]) -> datetime | None:
        """Return the earliest moment of work: a delivery to be sent or ended, or a webhook to be given up.

        *opens_in_ms* names the lanes that may send, and the time until each opens. *enabled* names the webhooks that
        are enabled: the deliveries of all others are to be ended.
        """
        now, moments = self._now(), []
        for webhook_id, opens in opens_in_ms.items():
            if first := self._first(webhook_id):
                moments.append(max(first, now + timedelta(milliseconds=opens)) if opens else first)
        with reaching_mongodb():
            wanted = {"_id": {"$in": list(enabled)}, "failingSince": {"$type": "date"}}
            failing = self._heads.find(wanted, {"failingSince": 1, "lastDead": 1})
            moments += [head["failingSince"] + self._failing for head in failing if _spans(head)]
            moments += self._ends(enabled)
        return min(moments, default=None)

    def _ends(self, enabled: Sequence[str]) -> list[datetime]:
        """Return when the first pending delivery expires, and when the first of a webhook not *enabled* is to be ended.

        A delivery in flight under a live lease is left to its worker until the lease ends.
        """
        leased = {"$cond": [{"$eq": ["$status", Status.IN_FLIGHT.value]}, "$due", None]}
        pending = {"due": {"$exists": True}}
        expiry: list[dict[str, Any]] = [
            {"$match": pending},
            {"$sort": {"expiresAt": ASCENDING}},
            {"$limit": 1},
            {"$project": {"at": {"$max": ["$expiresAt", leased]}}},
        ]
        over: list[dict[str, Any]] = [
            {"$match": pending | {"webhook": {"$nin": list(enabled)}}},
            {"$group": {"_id": None, "at": {"$min": {"$ifNull": [leased, "$$NOW"]}}}},
        ]
        return [found["at"] for stages in (expiry, over) for found in self._deliveries.aggregate(stages)]

    def forgotten(self, open_lanes: Sequence[str]) -> int:
        """Return how many deliveries nobody took in time, in lanes that are open and do not move. Must be 0.

        A lane moves if an attempt began a moment ago: the rest waits for its turn, or for the rate limit.
        """
        late = self._now() - _GRACE
        number = 0
        for webhook_id in open_lanes:
            with reaching_mongodb():
                query = {"webhook": webhook_id, "due": {"$lte": late}}
                if not (overdue := self._deliveries.count_documents(query, limit=1_000)):
                    continue
                moving = {"webhook": webhook_id, "attempts.at": {"$gt": late}}
                newest = self._deliveries.find(moving, {"_id": 1}).sort("createdAt", DESCENDING).limit(1)
                number += 0 if list(newest) else overdue
        return number

    def load(self) -> Load:
        """Return how many deliveries are due or will be, and how many are in flight."""
        counts: list[dict[str, Any]] = [
            {"$match": {"due": {"$exists": True}}},
            {"$group": {"_id": "$status", "number": {"$sum": 1}}},
        ]
        with reaching_mongodb():
            found = {each["_id"]: each["number"] for each in self._deliveries.aggregate(counts)}
        return Load(found.get(Status.DUE, 0), found.get(Status.IN_FLIGHT, 0))

    def _failed_only(self, head: Mapping[str, Any]) -> bool:
        since = head["failingSince"]
        query = {"webhook": head["_id"], "status": Status.DELIVERED.value, "finishedAt": {"$gt": since}}
        with reaching_mongodb():
            last = self._deliveries.find_one(query, {"finishedAt": 1}, sort=[("finishedAt", DESCENDING)])
            if last is None:
                return _spans(head)
            moved = {"$set": {"failingSince": last["finishedAt"]}, "$unset": {"lastDead": ""}}
            self._heads.update_one({"_id": head["_id"], "failingSince": since}, moved)
        return False

    def _first(self, webhook_id: str) -> datetime | None:
        query = {"webhook": webhook_id, "due": {"$exists": True}}
        with reaching_mongodb():
            found = self._deliveries.find_one(query, {"due": 1}, sort=[("due", ASCENDING)], hint="lane-by-due")
        return found["due"] if found else None

    def _now(self) -> datetime:
        with reaching_mongodb():
            answer = self._deliveries.database.command("hello", codec_options=self._deliveries.codec_options)
        now: datetime = answer["localTime"]
        return now


def _spans(head: Mapping[str, Any]) -> bool:
    """Return whether a delivery has ended as dead a good while after the failures began."""
    last = head.get("lastDead")
    return last is not None and last - head["failingSince"] >= _SPAN


def _ms(left: timedelta) -> int:
    return round(left / timedelta(milliseconds=1))
