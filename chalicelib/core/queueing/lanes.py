"""Lanes: the entries of an outbox that call addresses which users chose, each lane with a bounded part of the workers.

A lane is a callback host of one account, or a webhook endpoint. A message only says that the lane has work (`Wake`).
The due entries wait in MongoDB; a worker claims each with one atomic update and a lease. `slots` bounds how many
workers serve a lane and its owner at once, so a host that hangs holds up its own lane alone.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo import ASCENDING, IndexModel
from pymongo.collection import ReturnDocument

from chalicelib.core.queueing import entries
from chalicelib.core.queueing.entries import HORIZON_MS, LANE_HELD_MS, Entry
from chalicelib.core.queueing.queues import Load
from chalicelib.core.queueing.slots import Lane
from chalicelib.core.runtime import ids
from chalicelib.core.stores.driver_errors import reaching_mongodb

if TYPE_CHECKING:
    from pymongo.collection import Collection

#: A part of the workers that one owner may hold at once.
_SHARE = 4
#: The clock of this process only narrows a query; the server's clock decides. A clock that is further behind finds
#: entries late.
_CLOCK_SKEW = timedelta(minutes=1)

_IS_LANE = {"outbox.lane": {"$exists": True}}
#: The due entries of a lane, and of an owner. The indexes contain only documents with entries of lanes.
INDEXES = [
    IndexModel([("outbox.lane", ASCENDING), ("outbox.due", ASCENDING)], name="lane", partialFilterExpression=_IS_LANE),
    IndexModel(
        [("outbox.owner", ASCENDING), ("outbox.due", ASCENDING)], name="owner", partialFilterExpression=_IS_LANE
    ),
]


class Item(NamedTuple):
    """A claimed entry of a lane."""

    document_id: str
    effect: str
    #: This claim's id: a claim that was lost changes nothing any more.
    claim: str
    #: The request that wrote the entry.
    caused_by: str
    #: The id of the redriven dead letter that put the entry back, or "".
    sent_back: str


def share(places: int) -> int:
    """Return how many of *places* workers one owner may hold at once: a quarter, and at least one."""
    return max(1, places // _SHARE)


class Lanes:
    """The lanes of the outboxes of one collection."""

    def __init__(self, collection: "Collection[dict[str, Any]]") -> None:
        self._documents = collection

    def claim(self, lane: Lane, lease_ms: int) -> Item | None:
        """Claim the lane's earliest due entry for *lease_ms*, or return None if no entry is due and free. Atomic."""
        claim, soon = ids.new_id(), datetime.now(UTC) + _CLOCK_SKEW
        free = _free(lane.name)
        first = {"$first": {"$map": {"input": {"$filter": {"input": "$outbox", "cond": free}}, "in": "$$this.effect"}}}
        claimed = {
            "claim": claim,
            "claimedUntil": {"$add": ["$$NOW", lease_ms]},
            "heldUntil": {"$add": ["$$NOW", LANE_HELD_MS]},
        }
        with reaching_mongodb():
            found = self._documents.find_one_and_update(
                {
                    "outbox": {"$elemMatch": {"lane": lane.name, "due": {"$lte": soon}}},
                    "$expr": {"$anyElementTrue": {"$map": {"input": "$outbox", "in": free}}},
                },
                [{"$set": {"outbox": _changed({"$eq": ["$$this.effect", first]}, claimed)}}],
                {"outbox": 1},
                sort=[("outbox.due", ASCENDING)],
                return_document=ReturnDocument.AFTER,
            )
        if found is None:
            return None
        entry = next(each for each in found["outbox"] if each.get("claim") == claim)
        return Item(found["_id"], entry["effect"], claim, entry.get("causedBy", ""), entry.get("sentBack", ""))

    def postpone(self, item: Item, seconds: float) -> None:
        """Make the entry due again after *seconds*, free for any worker. Changes nothing if the claim was lost."""
        due = {"$add": ["$$NOW", round(seconds * 1000)]}
        freed = {"claim": None, "claimedUntil": None, "due": due, "heldUntil": entries.hold(due)}
        with reaching_mongodb():
            self._documents.update_one(
                {"_id": item.document_id, "outbox.claim": item.claim},
                [{"$set": {"outbox": _changed({"$eq": ["$$this.claim", item.claim]}, freed)}}],
            )

    def end(self, document_id: str, effect: str, *, dead: bool) -> None:
        """Remove the entry after the effect was done or, if *dead*, dead-lettered. Safe to repeat."""
        with reaching_mongodb():
            self._documents.update_one({"_id": document_id}, entries.ended(effect, dead=dead))

    def revive(self, lane: Lane, document_id: str, effect: str, letter_id: str) -> bool:
        """Put the entry of a redriven dead letter back, due now, unless the entry is there. Safe to repeat.

        Return False if the document is gone.
        """
        made = entries.entry(effect, "$$NOW", owner={"$literal": lane.owner}, lane={"$literal": lane.name})
        query = {"_id": document_id, "outbox.effect": {"$ne": effect}}
        with reaching_mongodb():
            back = {"$concatArrays": ["$outbox", [made | {"sentBack": letter_id}]]}
            done = self._documents.update_one(query, [{"$set": {"outbox": back}}, *entries.kept()])
            return done.matched_count == 1 or self._documents.count_documents({"_id": document_id}, limit=1) == 1

    def next(self, owner: str, closed: Sequence[str]) -> Entry | None:
        """Return the owner's earliest free entry due within the horizon, in a lane that is not among *closed*."""
        now = datetime.now(UTC)
        wanted = {
            "owner": owner,
            "lane": {"$exists": True, "$nin": list(closed)},
            "due": {"$lte": now + timedelta(milliseconds=HORIZON_MS)},
            "claimedUntil": {"$not": {"$gt": now}},
        }
        with reaching_mongodb():
            found = self._documents.find_one(
                {"outbox": {"$elemMatch": wanted}}, {"outbox": entries.shown()}, sort=[("outbox.due", ASCENDING)]
            )
        free = [each for each in entries.read(found["outbox"]) if each.lane not in {None, *closed}] if found else []
        return min(free, key=lambda each: each.due_in_ms, default=None)

    def load(self) -> Load:
        """Return how many documents have entries that wait, and how many have one that is being worked on."""
        claimed = {"$map": {"input": "$outbox", "in": {"$gt": ["$$this.claimedUntil", "$$NOW"]}}}
        processing = {"$sum": {"$cond": [{"$anyElementTrue": claimed}, 1, 0]}}
        counts: list[dict[str, Any]] = [
            {"$match": _IS_LANE},
            {"$group": {"_id": None, "every": {"$sum": 1}, "processing": processing}},
        ]
        with reaching_mongodb():
            found = next(iter(self._documents.aggregate(counts)), {"every": 0, "processing": 0})
        return Load(found["every"] - found["processing"], found["processing"])


def _free(lane: str) -> dict[str, Any]:
    """Return the expression of whether an entry belongs to *lane*, is due, and is not claimed."""
    return {
        "$and": [
            {"$eq": ["$$this.lane", {"$literal": lane}]},
            {"$lte": ["$$this.due", "$$NOW"]},
            # MongoDB sorts a missing value and null below every time.
            {"$not": [{"$gt": ["$$this.claimedUntil", "$$NOW"]}]},
        ]
    }


def _changed(condition: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return the expression of the outbox with *change* merged into the entries for which *condition* holds."""
    merged = {"$mergeObjects": ["$$this", change]}
    return {"$map": {"input": "$outbox", "in": {"$cond": [condition, merged, "$$this"]}}}
