"""Counts requests by state, with bounded work: shapes, and pipelines for MongoDB (no I/O)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from chalicelib.approvals.models import Status
from chalicelib.approvals.transitions import IN_TIME, KEPT, PENDING, Pipeline
from chalicelib.core.models import Model, Username
from chalicelib.core.web.models import Query

#: The highest number: a count reads so many documents of each state at most, however long the list is.
MOST = 500

#: True of a settled request alone, and so the condition of the index.
_SETTLED = {"resolvedAt": {"$gt": datetime(1970, 1, 1, tzinfo=UTC)}}
#: Without the pending requests, which have an index of their own, so an entry is written once.
INDEX = IndexModel(
    [("accounts", ASCENDING), ("status", ASCENDING), ("createdAt", DESCENDING)],
    name="settled-of-account",
    partialFilterExpression=_SETTLED,
)


class CountsQuery(Query):
    """Whose requests to count."""

    username: Username | None = None


class Counts(Model):
    """Requests by state, each number 500 at most: 500 stands for 500 or more."""

    pending: int
    resolved: int
    timeout: int
    cancelled: int


def pipeline(collection: str, account_id: str | None) -> Pipeline:
    """Return the pipeline that counts the kept requests of *collection*, with *account_id* those of the account.

    A pending request whose time is over counts as timed out, recorded or not.
    """
    mine = {"accounts": account_id} if account_id else {}
    seen = {"$cond": [IN_TIME, Status.PENDING.value, Status.TIMEOUT.value]}
    settled = [
        {
            "$unionWith": {
                "coll": collection,
                "pipeline": _counted({"status": status.value, **mine, **_SETTLED}, "$status"),
            }
        }
        for status in Status
        if status is not Status.PENDING
    ]
    return [*_counted({**PENDING, **mine}, seen), *settled]


def read(found: Iterable[Mapping[str, Any]]) -> Counts:
    """Return the counts of the documents *found* by `pipeline`."""
    total: Counter[str] = Counter()
    for each in found:
        total[each["_id"]] += each["count"]
    return Counts.model_validate({status.value: min(total[status.value], MOST) for status in Status})


def _counted(query: dict[str, Any], state: Any) -> Pipeline:
    return [
        {"$match": {**query, "$expr": KEPT}},
        {"$limit": MOST},
        {"$group": {"_id": state, "count": {"$sum": 1}}},
    ]
