"""Jobs: replays of many deliveries, of all webhooks. A job is a document, so a job whose process died goes on.

A job goes through its deliveries webhook by webhook, in order of sequence, and keeps its position after each step. A
step that is done twice changes nothing the second time. Lanes bound the calls that follow, as for all deliveries.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo import ASCENDING, IndexModel
from pymongo.collection import ReturnDocument

from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.webhooks.archive import KEPT, STEP, once_more
from chalicelib.webhooks.errors import CountChanged
from chalicelib.webhooks.models import Status
from chalicelib.webhooks.shown import DeliveryFilter, Replayed
from chalicelib.webhooks.statement import NAME as STATEMENT

if TYPE_CHECKING:
    from pymongo.database import Database

INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel([("open", ASCENDING)], name="open", partialFilterExpression={"open": {"$exists": True}}),
]

#: A job outlives the 24 h for which an Idempotency-Key holds. An open job is removed then as well.
_KEPT_MS = round(timedelta(days=7) / timedelta(milliseconds=1))
#: The order of a job, in which the index of statements begins. The digest tells tests apart, which have no sequence.
_ORDER = [(name, ASCENDING) for name in ("webhook", "sequence", "digest")]


class Job(NamedTuple):
    """A job. *before*: when the job was begun; later deliveries are none of its own."""

    id: str
    wanted: Mapping[str, Any]
    before: datetime
    #: Webhook, sequence and digest of the last delivery of the step before; None at the beginning.
    at: tuple[str, int | None, str] | None


class Jobs:
    """The jobs of this deployment."""

    def __init__(self, database: "Database[dict[str, Any]]") -> None:
        self._jobs, self._deliveries = database.webhook_jobs, database.deliveries

    def count(self, asked: DeliveryFilter, enabled: Collection[str]) -> Replayed:
        """Return how many deliveries match, and how many of them would not be sent. Changes nothing."""
        unsent = {"$or": [{"$not": [{"$in": ["$webhook", list(enabled)]}]}, {"$eq": ["$status", Status.IN_FLIGHT]}]}
        stages: list[dict[str, Any]] = [
            {"$match": {"$and": [asked.filter, {"$expr": KEPT}]}},
            {"$group": {"_id": None, "count": {"$sum": 1}, "skipped": {"$sum": {"$cond": [unsent, 1, 0]}}}},
        ]
        with reaching_mongodb():
            found = next(iter(self._deliveries.aggregate(stages)), {"count": 0, "skipped": 0})
        return Replayed(count=found["count"], skipped=found["skipped"], more=False)

    def begin(self, operation: str, asked: DeliveryFilter, expected: int, enabled: Collection[str]) -> Replayed:
        """Begin the job of *operation*, unless it has begun. Return what `count` says, at the time of the beginning.

        Raises:
            CountChanged: another number of deliveries than *expected* match. No job has begun.
        """
        with reaching_mongodb():
            found: Any = self._jobs.find_one({"_id": operation})
        if found is None:
            counted = self.count(asked, enabled)
            if counted.count != expected:
                raise CountChanged
            first = {
                "filter": {"$literal": asked.model_dump_json(exclude_none=True)},
                "before": "$$NOW",
                "open": True,
                "purgeAt": {"$add": ["$$NOW", _KEPT_MS]},
                "count": counted.count,
                "skipped": counted.skipped,
            }
            # Of two attempts that begin at once, the first one's document stays.
            kept = {name: {"$ifNull": [f"${name}", value]} for name, value in first.items()}
            with reaching_mongodb():
                found = self._jobs.find_one_and_update(
                    {"_id": operation}, [{"$set": kept}], upsert=True, return_document=ReturnDocument.AFTER
                )
        return Replayed(count=found["count"], skipped=found["skipped"], more="open" in found)

    def open(self) -> list[str]:
        """Return the jobs that are not done."""
        with reaching_mongodb():
            return [found["_id"] for found in self._jobs.find({"open": True}, {"_id": 1})]

    def since(self) -> datetime | None:
        """Return when the earliest job that is not done was begun, or None."""
        with reaching_mongodb():
            found = self._jobs.find_one({"open": True}, {"before": 1}, sort=[("before", ASCENDING)])
        return found["before"] if found else None

    def is_open(self, job_id: str) -> bool:
        """Return whether the job has begun and is not done."""
        return self._job(job_id) is not None

    def step(self, job_id: str, enabled: Collection[str]) -> set[str]:
        """Make the next deliveries of the job due, up to `STEP`; return the webhooks of these deliveries.

        Safe to repeat, and beside another process at the same job. Deliveries in flight, and those of webhooks that
        are not *enabled*, are left as they are. The caller wakes the lanes; for a caller that dies, the sweep does.
        """
        if (job := self._job(job_id)) is None:
            return set()
        rows: list[dict[str, Any]] = []
        for part in _rest(job):
            if left := STEP - len(rows):
                rows += self._read(job, part, left)
        chosen = [row for row in rows if row["webhook"] in enabled]
        self._replay(job, [row["_id"] for row in chosen])
        self._advance(job, rows)
        return {row["webhook"] for row in chosen}

    def _job(self, job_id: str) -> Job | None:
        with reaching_mongodb():
            found = self._jobs.find_one({"_id": job_id, "open": True})
        if found is None:
            return None
        wanted = DeliveryFilter.model_validate_json(found["filter"]).filter
        return Job(job_id, wanted, found["before"], found.get("at"))

    def _read(self, job: Job, part: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
        kept = {"createdAt": {"$lte": job.before}, "$expr": KEPT}
        shown = dict.fromkeys((name for name, _ in _ORDER), 1)
        query = {"$and": [part, job.wanted, kept]}
        with reaching_mongodb():
            return list(self._deliveries.find(query, shown, sort=_ORDER, limit=limit, hint=STATEMENT))

    def _replay(self, job: Job, ids: list[str]) -> None:
        # The filter once more: a delivery may have changed since it was found.
        free = {"_id": {"$in": ids}, "status": {"$ne": Status.IN_FLIGHT.value}, "job": {"$ne": job.id}}
        change = {**once_more(), "job": {"$literal": job.id}}
        with reaching_mongodb():
            self._deliveries.update_many({"$and": [free, job.wanted]}, [{"$set": change}])

    def _advance(self, job: Job, rows: list[dict[str, Any]]) -> None:
        """Keep the position after a step. Another process at the same step keeps the same position."""
        if len(rows) < STEP:
            change: dict[str, Any] = {"$unset": {"open": ""}}
        else:
            change = {"$set": {"at": [rows[-1].get(name) for name, _ in _ORDER]}}
        with reaching_mongodb():
            self._jobs.update_one({"_id": job.id, "at": job.at}, change)


def _rest(job: Job) -> list[dict[str, Any]]:
    """Return the queries of the deliveries that follow the position of *job*: of its webhook, and of the others."""
    if job.at is None:
        return [{}]
    webhook, sequence, digest = job.at
    numbered = {"sequence": {"$gt": sequence or 0}}
    tests = {"sequence": None, "digest": {"$gt": digest}}
    own = numbered if sequence else {"$or": [tests, numbered]}
    return [{"webhook": webhook, **own}, {"webhook": {"$gt": webhook}}]
