"""Writes of a progress as update pipelines of MongoDB: every figure is computed in the update, by the server's clock.

So a figure belongs to a revision, and snapshots of the same revision are equal.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from pydantic import BaseModel

from chalicelib.core.runtime.accounts import Account
from chalicelib.progress.models import COUNTERS

Stage = Mapping[str, Any]

#: The time for which a progress can be read after its completion, and before it after its last change.
COMPLETED_MS, UNCHANGED_MS = 10 * 60_000, 24 * 3_600_000
_RESERVED_MS = 10_000
#: The rate is a mean whose weights fall to a third in so many seconds of age.
_MEMORY_SECONDS = 30.0

#: The keys of increments that a progress remembers.
KEYS = 200

LIVE = {"$gt": ["$purgeAt", "$$NOW"]}
_SETTLED = {"$add": ["$activated", "$skipped", "$failed"]}


class Used(NamedTuple):
    """The digests of an Idempotency-Key and of the write that it belongs to."""

    key: str
    write: str

    @classmethod
    def of(cls, key: str, write: BaseModel) -> Self:
        """Return the digests of *key* and *write*."""
        texts = (key, write.model_dump_json(exclude_none=True))
        return cls(*(hashlib.sha256(text.encode()).hexdigest()[:24] for text in texts))


def begun(owner: Account, type_: str, total: int, *, mark: str, kept_ms: int = UNCHANGED_MS) -> Stage:
    """Return the update that makes the progress of a job of this service, unless the document is live.

    *mark* names the call that begins; the document keeps it as ``begunBy``. Before its completion the progress is kept
    for *kept_ms* at least, with or without a change.
    """
    first = {"percentage": 0.0, "rate": 0.0, "etaSeconds": None, "finished": 0}
    pace = {"at": "$$NOW", "finished": 0, "mean": 0.0}
    fields = {**_fields(owner, mark), "type": {"$literal": type_}, "total": total, "here": True, "revision": 1}
    kept_until = {"$add": ["$$NOW", kept_ms]}
    return _unless_live({**fields, **first, "pace": pace, "keptUntil": kept_until, "purgeAt": kept_until})


def reserved(owner: Account, *, mark: str) -> Stage:
    """Return the update that keeps the id for *owner* for a moment, until the first write of a job elsewhere.

    The document has revision 0, which no reader sees.
    """
    fields = {**_fields(owner, mark), "type": "job", "total": 0, "here": False, "revision": 0}
    return _unless_live({**fields, "purgeAt": {"$add": ["$$NOW", _RESERVED_MS]}})


def increased(increments: Mapping[str, int]) -> Stage:
    """Return the stage that adds *increments* to the counters. No counter falls below 0."""
    return {name: {"$max": [0, {"$add": [f"${name}", by]}]} for name, by in increments.items()}


def assigned(values: Mapping[str, int | str]) -> Stage:
    """Return the stage that sets fields to *values*."""
    return {name: {"$literal": value} for name, value in values.items()}


def remembered(used: Used) -> Stage:
    """Return the stage that remembers the key of a write."""
    known = {"$ifNull": ["$keys", []]}
    return {"keys": {"$slice": [{"$concatArrays": [known, [used._asdict()]]}, -KEYS]}}


def derived(*, completed: bool = False) -> list[Stage]:
    """Return the stages that end every write: revision, percentage, rate, expected end, completion and expiry."""
    done = {"$and": [{"$gt": ["$total", 0]}, {"$gte": [_SETTLED, "$total"]}, {"$lte": ["$emailsPending", 0]}]}
    # MongoDB's maximum leaves out a time that is missing, as in the progress of a job elsewhere.
    unchanged = {"$max": [{"$add": ["$updatedAt", UNCHANGED_MS]}, "$keptUntil"]}
    return [
        {
            "revision": {"$add": ["$revision", 1]},
            "updatedAt": {"$max": ["$updatedAt", "$$NOW"]},
            # A part whose mail is pending is not finished, so that 100 means completed.
            "finished": {"$max": [0, {"$subtract": [_SETTLED, "$emailsPending"]}]},
            "completed": True if completed else done,
        },
        {"pace": _pace(), "percentage": _percentage()},
        {"rate": {"$round": [_rate(), 2]}},
        {"etaSeconds": _eta(), "purgeAt": {"$cond": ["$completed", {"$add": ["$updatedAt", COMPLETED_MS]}, unchanged]}},
    ]


def stages(*changes: Stage, completed: bool = False) -> list[Stage]:
    """Return the update that applies *changes* and ends the write."""
    return [{"$set": change} for change in (*changes, *derived(completed=completed)) if change]


def _fields(owner: Account, mark: str) -> dict[str, Any]:
    return {
        "_id": "$_id",
        "owner": {"$literal": owner.account_id},
        "ownerName": {"$literal": owner.username},
        "begunBy": {"$literal": mark},
        **dict.fromkeys(COUNTERS, 0),
        "msg": "",
        "completed": False,
        "createdAt": "$$NOW",
        "updatedAt": "$$NOW",
    }


def _unless_live(fields: Mapping[str, Any]) -> Stage:
    return {"$replaceWith": {"$cond": [LIVE, "$$ROOT", fields]}}


def _percentage() -> dict[str, Any]:
    part = {"$divide": [{"$trunc": {"$divide": [{"$multiply": [1_000, "$finished"]}, "$total"]}}, 10]}
    whole = {"$cond": ["$completed", 100.0, 0.0]}
    return {"$cond": [{"$gt": ["$total", 0]}, {"$min": [100.0, part]}, whole]}


def _pace() -> dict[str, Any]:
    """Return the exponential mean of parts a second, with its moment, from the parts finished since the last write.

    A first write begins at its own figures: parts that were finished before have no time.
    """
    seconds = {"$divide": [{"$max": [1, {"$subtract": ["$updatedAt", "$pace.at"]}]}, 1_000]}
    kept = {"$exp": {"$divide": ["$$seconds", -_MEMORY_SECONDS]}}
    parts = {"$max": [0, {"$subtract": ["$finished", "$pace.finished"]}]}
    added = {"$multiply": [{"$divide": [parts, "$$seconds"]}, {"$subtract": [1, "$$kept"]}]}
    mean = {"$add": [{"$multiply": ["$pace.mean", "$$kept"]}, added]}
    later = {"$let": {"vars": {"seconds": seconds}, "in": {"$let": {"vars": {"kept": kept}, "in": mean}}}}
    return {
        "at": "$updatedAt",
        "finished": "$finished",
        "mean": {"$cond": [{"$eq": [{"$type": "$pace.at"}, "date"]}, later, 0.0]},
    }


def _rate() -> dict[str, Any]:
    """Return the mean without the weight of the time before the job began."""
    seconds = {"$divide": [{"$max": [1_000, {"$subtract": ["$updatedAt", "$createdAt"]}]}, 1_000]}
    weight = {"$subtract": [1, {"$exp": {"$divide": [seconds, -_MEMORY_SECONDS]}}]}
    return {"$divide": ["$pace.mean", weight]}


def _eta() -> dict[str, Any]:
    left = {"$subtract": ["$total", "$finished"]}
    known = {"$and": [{"$gt": ["$rate", 0]}, {"$gt": [left, 0]}]}
    # The year of a rate close to 0 would be beyond any calendar.
    seconds = {"$toLong": {"$min": [1e12, {"$ceil": {"$divide": [left, "$rate"]}}]}}
    return {"$cond": ["$completed", 0, {"$cond": [known, seconds, None]}]}
