"""Slots: how many workers may serve the lanes of one owner at once, and which lanes are closed after failures.

One document per owner holds the slots in use, each with a lease, and a circuit breaker for each failing lane
(M. Nygard, "Release It!", chapter 5). One atomic update against the server's clock takes a slot. A refusal writes
nothing. A worker that dies keeps its slot until the lease ends.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument

from chalicelib.core.runtime import ids
from chalicelib.core.stores.driver_errors import reaching_mongodb

INDEXES = [IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0)]

Expression = dict[str, Any]

#: A lane closes after so many failures in a row.
_FAILURES = 5
#: How long a lane stays closed at first, and at most; each failed probe doubles the time.
_FIRST_CLOSED_MS, _LONGEST_CLOSED_MS = 10_000, 900_000
_MOST_DOUBLINGS = 10
#: Lanes that fail together open again spread over a fifth more.
_SPREAD = 0.2
#: After a day without a worker, an owner's document is forgotten: its lanes are open again.
_KEPT_MS = 24 * 3_600_000
#: The most breakers of one owner; the oldest is dropped, and its lane is open again.
_MOST_BREAKERS = 200


class Lane(NamedTuple):
    """A lane of an owner. *name* is unique to the lane among all owners."""

    owner: str
    name: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How many workers may serve one owner, and one lane, at once."""

    per_owner: int
    per_lane: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot in use. *failing*: the lane's last call failed."""

    id: str
    lane: Lane
    failing: bool


class Closed(NamedTuple):
    """A lane closed by its breaker, and the time until the lane opens for a probe."""

    lane: str
    opens_in_ms: int


class Released(NamedTuple):
    """The owner after a slot was given back: its closed lanes, and how many slots other workers hold."""

    closed: tuple[Closed, ...]
    others: int


class Slots:
    """The slots and breakers of all owners, in one MongoDB collection."""

    def __init__(self, collection: Collection[dict[str, Any]], limits: Limits) -> None:
        self._owners, self._limits = collection, limits

    def take(self, lane: Lane, lease_ms: int, limits: Limits | None = None) -> Slot | None:
        """Take a slot for *lease_ms*, or return None if the limits or the lane's breaker refuse. Atomic.

        A lane whose time is over is open for one worker, the probe. *limits* replaces the limits of all owners.
        """
        slot_id, allowed = ids.new_id(), _allowed(lane.name, limits or self._limits)
        taken = {"id": slot_id, "lane": {"$literal": lane.name}, "until": {"$add": ["$$NOW", lease_ms]}}
        # Refused, the document stays as it is, which MongoDB does not write.
        update = {
            "slots": {"$cond": [allowed, {"$concatArrays": [_live(), [taken]]}, {"$ifNull": ["$slots", []]}]},
            "purgeAt": {"$cond": [allowed, {"$add": ["$$NOW", _KEPT_MS]}, "$purgeAt"]},
        }
        with reaching_mongodb():
            found: Any = self._owners.find_one_and_update(
                {"_id": lane.owner},
                [{"$set": update}],
                {"slots.id": 1, "failing": {"$gt": [{"$size": _breakers_of(lane.name)}, 0]}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        taken_ids = {slot["id"] for slot in found["slots"]}
        return Slot(slot_id, lane, found["failing"]) if slot_id in taken_ids else None

    def release(self, slot: Slot) -> Released:
        """Give *slot* back. Of workers that give their slots back at once, one sees no others. Safe to repeat."""
        with reaching_mongodb():
            found = self._owners.find_one_and_update(
                {"_id": slot.lane.owner},
                {"$pull": {"slots": {"id": slot.id}}},
                {"closed": _closed(), "others": {"$size": _live()}},
                return_document=ReturnDocument.AFTER,
            )
        return Released(_read(found), found["others"] if found else 0)

    def closed(self, owner: str) -> tuple[Closed, ...]:
        """Return the closed lanes of *owner*."""
        with reaching_mongodb():
            return _read(self._owners.find_one({"_id": owner}, {"closed": _closed()}))

    def fail(self, lane: Lane) -> int | None:
        """Count a failed call. Return the time in milliseconds until the lane opens again, or None if still open.

        Failures of calls that began before the lane closed change nothing.
        """
        breaker = {"$ifNull": [{"$first": _breakers_of(lane.name)}, {"failures": 0, "closings": 0}]}
        others = {
            "$filter": {
                "input": {"$ifNull": ["$breakers", []]},
                "cond": {"$ne": ["$$this.lane", {"$literal": lane.name}]},
            }
        }
        changed = {"$let": {"vars": {"old": breaker}, "in": _failed(lane.name)}}
        kept = {"$slice": [{"$concatArrays": [others, [changed]]}, -_MOST_BREAKERS]}
        with reaching_mongodb():
            found = self._owners.find_one_and_update(
                {"_id": lane.owner},
                [{"$set": {"breakers": kept, "purgeAt": {"$add": ["$$NOW", _KEPT_MS]}}}],
                {"closed": _closed()},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return next((closed.opens_in_ms for closed in _read(found) if closed.lane == lane.name), None)

    def recover(self, lane: Lane) -> None:
        """Open the lane after a call that succeeded. Safe to repeat."""
        with reaching_mongodb():
            self._owners.update_one({"_id": lane.owner}, {"$pull": {"breakers": {"lane": lane.name}}})


def _live() -> Expression:
    """Return the expression of the slots whose lease has not ended."""
    return {"$filter": {"input": {"$ifNull": ["$slots", []]}, "cond": {"$gt": ["$$this.until", "$$NOW"]}}}


def _allowed(lane: str, limits: Limits) -> Expression:
    of_lane = {"$size": {"$filter": {"input": _live(), "cond": {"$eq": ["$$this.lane", {"$literal": lane}]}}}}
    shut = {"$first": {"$filter": {"input": _breakers_of(lane), "cond": {"$eq": [_has_end(), True]}}}}
    probe = {"$and": [{"$lte": ["$$shut.opensAt", "$$NOW"]}, {"$eq": [of_lane, 0]}]}
    is_open = {"$let": {"vars": {"shut": shut}, "in": {"$or": [{"$not": ["$$shut"]}, probe]}}}
    return {
        "$and": [
            {"$lt": [{"$size": _live()}, limits.per_owner]},
            {"$lt": [of_lane, limits.per_lane]},
            is_open,
        ]
    }


def _breakers_of(lane: str) -> Expression:
    return {"$filter": {"input": {"$ifNull": ["$breakers", []]}, "cond": {"$eq": ["$$this.lane", {"$literal": lane}]}}}


def _has_end() -> Expression:
    return {"$eq": [{"$type": "$$this.opensAt"}, "date"]}


def _failed(lane: str) -> Expression:
    """Return the expression of the breaker `$$old` after one more failure.

    A breaker that is closed already stays as it is: the call began before.
    """
    failures = {"$add": ["$$old.failures", 1]}
    doublings = {"$min": ["$$old.closings", _MOST_DOUBLINGS]}
    closed_ms = {"$min": [{"$multiply": [_FIRST_CLOSED_MS, {"$pow": [2, doublings]}]}, _LONGEST_CLOSED_MS]}
    spread_ms = {"$multiply": [closed_ms, {"$add": [1, {"$multiply": [_SPREAD, {"$rand": {}}]}]}]}
    closes = {"$gte": [failures, _FAILURES]}
    counted = {
        "lane": {"$literal": lane},
        "failures": failures,
        "closings": {"$add": ["$$old.closings", {"$cond": [closes, 1, 0]}]},
        "opensAt": {"$cond": [closes, {"$add": ["$$NOW", {"$toLong": spread_ms}]}, None]},
    }
    return {"$cond": [{"$gt": ["$$old.opensAt", "$$NOW"]}, "$$old", counted]}


def _closed() -> Expression:
    """Return the expression of the closed lanes, for `_read`."""
    closed = {"$filter": {"input": {"$ifNull": ["$breakers", []]}, "cond": {"$gt": ["$$this.opensAt", "$$NOW"]}}}
    opens = {"$subtract": ["$$this.opensAt", "$$NOW"]}
    return {"$map": {"input": closed, "in": {"lane": "$$this.lane", "opensInMs": opens}}}


def _read(found: dict[str, Any] | None) -> tuple[Closed, ...]:
    return tuple(Closed(each["lane"], int(each["opensInMs"])) for each in (found or {}).get("closed", ()))
