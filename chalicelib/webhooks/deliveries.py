"""Deliveries in MongoDB: one for each event and webhook. One atomic update decides each step, by the server's clock.

A delivery that is due or in flight has the field ``due``: when it may be claimed. For a delivery in flight that is the
end of the lease, so a delivery whose worker died is claimed again. A finished delivery has no ``due``.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo import ASCENDING, IndexModel
from pymongo.collection import ReturnDocument

from chalicelib.core.runtime import ids
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.core.stores.newest import newest_first
from chalicelib.webhooks.attempts import Decision, Result
from chalicelib.webhooks.happenings import Happening, delivery_id
from chalicelib.webhooks.models import Reason, Status, Trigger
from chalicelib.webhooks.recorder import Recorder, Wanted, document_of
from chalicelib.webhooks.statement import INDEX as STATEMENT

if TYPE_CHECKING:
    from pymongo.database import Database

_PENDING = {"due": {"$exists": True}}
_BY_DUE, _BY_SEQUENCE = "lane-by-due", "lane-by-sequence"
INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel([("webhook", ASCENDING), ("due", ASCENDING)], name=_BY_DUE, partialFilterExpression=_PENDING),
    IndexModel([("webhook", ASCENDING), ("sequence", ASCENDING)], name=_BY_SEQUENCE, partialFilterExpression=_PENDING),
    IndexModel([("expiresAt", ASCENDING)], name="pending-by-expiry", partialFilterExpression=_PENDING),
    IndexModel(newest_first(), name="newest"),
    IndexModel([("webhook", ASCENDING), *newest_first()], name="newest-of-webhook"),
    IndexModel([("webhook", ASCENDING), ("status", ASCENDING), ("finishedAt", ASCENDING)], name="finished"),
    STATEMENT,
]

#: The clock of this process only narrows a query; the server's clock decides.
_CLOCK_SKEW = timedelta(minutes=1)
#: The last attempts that a delivery keeps.
_KEPT_ATTEMPTS = 50

Expression = dict[str, Any]


class Claimed(NamedTuple):
    """A delivery in flight, claimed by one attempt. *tries* counts the attempts of the schedule, this one included."""

    id: str
    webhook_id: str
    #: This claim's id: a claim that was lost changes nothing any more.
    claim: str
    type: str
    body: str
    hops: int
    caused_by: str
    tries: int
    expired: bool
    #: The state to which a replay returns if it fails; None in the schedule.
    resume: dict[str, Any] | None


class Deliveries:
    """The deliveries of all webhooks."""

    def __init__(self, database: "Database[dict[str, Any]]", kept: timedelta) -> None:
        """Keep deliveries for the time *kept*, within which they may be due."""
        self._deliveries, self._kept = database.deliveries, kept
        self.recorder = Recorder(database, kept)

    def record(self, webhook_id: str, happenings: Sequence[Happening], ended: Reason | None = None) -> int:
        """Make the deliveries of one webhook as `Recorder.record` does; return how many were made."""
        return self.recorder.record([Wanted(webhook_id, tuple(happenings), ended)])[webhook_id]

    def test(self, webhook_id: str, happening: Happening) -> str:
        """Make a delivery without a number, unless it exists; return its id."""
        id_ = delivery_id(happening.event_id, webhook_id)
        with reaching_mongodb():
            document = document_of(webhook_id, happening, None, now=datetime.now(UTC), kept=self._kept)
            self._deliveries.update_one({"_id": id_}, {"$setOnInsert": document}, upsert=True)
        return id_

    def claim(self, webhook_id: str, lease_ms: int, *, oldest: bool = False) -> Claimed | None:
        """Claim a due delivery for *lease_ms*, or return None if none is due and free. Atomic.

        The earliest due comes first. With *oldest* the lowest sequence does: behind a failing receiver, whose calls are
        few, deliveries then come to their end one after the other.
        """
        claim, soon = ids.new_id(), datetime.now(UTC) + _CLOCK_SKEW
        counted = {"$cond": [{"$eq": [{"$type": "$resume"}, "object"]}, 0, 1]}
        attempt = {"id": claim, "at": "$$NOW", "trigger": "$trigger"}
        change = {
            "status": Status.IN_FLIGHT.value,
            "claim": claim,
            "due": {"$add": ["$$NOW", lease_ms]},
            "tries": {"$add": ["$tries", counted]},
            "attempts": {"$slice": [{"$concatArrays": ["$attempts", [attempt]]}, -_KEPT_ATTEMPTS]},
        }
        with reaching_mongodb():
            found = self._deliveries.find_one_and_update(
                {"webhook": webhook_id, "due": {"$lte": soon}, "$expr": {"$lte": ["$due", "$$NOW"]}},
                [{"$set": change}],
                _AS_CLAIMED,
                sort=[("sequence" if oldest else "due", ASCENDING)],
                hint=_BY_SEQUENCE if oldest else _BY_DUE,
                return_document=ReturnDocument.AFTER,
            )
        return _claimed(found) if found else None

    def finish(self, claimed: Claimed, result: Result | None, decision: Decision) -> None:
        """Record the end of the attempt, and what follows. Changes nothing if the claim was lost.

        A replay that failed returns the delivery to the state before. Without *result* no call was made, and the
        attempt is removed.
        """
        change = _after(decision) | {"attempts": _ended(claimed.claim, result), "claim": "$$REMOVE"}
        change |= {"trigger": Trigger.SCHEDULE.value, "resume": "$$REMOVE"}
        if claimed.resume is not None and decision.status is not Status.DELIVERED:
            change |= {name: claimed.resume.get(name, "$$REMOVE") for name in ("status", "reason", "due")}
        with reaching_mongodb():
            self._deliveries.update_one({"_id": claimed.id, "claim": claimed.claim}, [{"$set": change}])

    def put_back(self, claimed: Claimed, pause_ms: int) -> None:
        """Give the claim up before the call: no attempt is used up. Due again after *pause_ms*."""
        counted = 0 if claimed.resume is not None else 1
        change = {
            "status": Status.DUE.value,
            "due": {"$add": ["$$NOW", pause_ms]},
            "tries": {"$subtract": ["$tries", counted]},
            "attempts": _ended(claimed.claim, None),
            "claim": "$$REMOVE",
        }
        with reaching_mongodb():
            self._deliveries.update_one({"_id": claimed.id, "claim": claimed.claim}, [{"$set": change}])

    def end_all(self, webhook_id: str, reason: Reason) -> int:
        """End every delivery of the webhook that is due; return how many. Safe to repeat.

        A delivery in flight ends with its attempt: due again, the next worker calls this function once more.
        """
        query = {"webhook": webhook_id, **_PENDING, "$expr": _FREE}
        with reaching_mongodb():
            return self._deliveries.update_many(query, [{"$set": _dead(reason)}]).modified_count

    def expire(self) -> int:
        """End every delivery that was due for too long; return how many. Safe to repeat."""
        soon = datetime.now(UTC) + _CLOCK_SKEW
        over = {"$and": [{"$lte": ["$expiresAt", "$$NOW"]}, _FREE]}
        with reaching_mongodb():
            query = {**_PENDING, "expiresAt": {"$lte": soon}, "$expr": over}
            return self._deliveries.update_many(query, [{"$set": _dead(Reason.EXPIRED)}]).modified_count


#: Whether a pending delivery is not in flight under a live lease.
_FREE: Expression = {"$or": [{"$ne": ["$status", Status.IN_FLIGHT.value]}, {"$lte": ["$due", "$$NOW"]}]}
_AS_CLAIMED: Expression = {
    **dict.fromkeys(("webhook", "claim", "type", "body", "hops", "causedBy", "tries", "resume"), 1),
    "expired": {"$lte": ["$expiresAt", "$$NOW"]},
}


def _claimed(found: dict[str, Any]) -> Claimed:
    return Claimed(
        id=found["_id"],
        webhook_id=found["webhook"],
        claim=found["claim"],
        type=found["type"],
        body=found["body"],
        hops=found["hops"],
        caused_by=found["causedBy"],
        tries=found["tries"],
        expired=found["expired"],
        resume=found.get("resume"),
    )


def _after(decision: Decision) -> Expression:
    """Return the fields of a delivery after *decision*."""
    if decision.status is Status.DUE:
        return {"status": Status.DUE.value, "due": {"$add": ["$$NOW", decision.pause_ms]}}
    reason = decision.reason.value if decision.reason else "$$REMOVE"
    return {"status": decision.status.value, "reason": reason, "finishedAt": "$$NOW", "due": "$$REMOVE"}


def _dead(reason: Reason) -> Expression:
    """Return the fields of a delivery that ends as dead. A replay returns to the end that the delivery had before."""
    ended = {"$in": [{"$ifNull": ["$resume.status", ""]}, [Status.DELIVERED.value, Status.DEAD.value]]}
    before = {
        "status": "$resume.status",
        "reason": {"$ifNull": ["$resume.reason", "$$REMOVE"]},
        "finishedAt": "$finishedAt",
    }
    dead = _after(Decision(Status.DEAD, reason)) | {"claim": "$$REMOVE", "resume": "$$REMOVE"}
    return dead | {name: {"$cond": [ended, value, dead[name]]} for name, value in before.items()}


def _ended(claim: str, result: Result | None) -> Expression:
    """Return the expression of the attempts with *result* in the one of *claim*; without *result* it is removed."""
    if result is None:
        return {"$filter": {"input": "$attempts", "cond": {"$ne": ["$$this.id", claim]}}}
    told = {
        "status": result.status,
        "latencyMs": result.latency_ms,
        "error": result.error,
        "answer": {"$literal": result.answer},
    }
    merged = {"$mergeObjects": ["$$this", told]}
    return {"$map": {"input": "$attempts", "in": {"$cond": [{"$eq": ["$$this.id", claim]}, merged, "$$this"]}}}
