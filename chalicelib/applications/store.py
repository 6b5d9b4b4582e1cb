"""Lists of applications: what the view has of them, found by its indexes."""

from collections.abc import Mapping
from functools import reduce
from operator import getitem
from typing import Any, NamedTuple

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.collection import Collection

from chalicelib.applications.models import Application
from chalicelib.applications.search import COUNTED, ORDERS, ApplicationQuery
from chalicelib.core.records.count_cache import CountCache
from chalicelib.core.records.view import INDEXES as EVERY_VIEWS
from chalicelib.core.stores.driver_errors import reaching_mongodb

#: Every order, of all and of those in one state. Directions need none of their own: an index is read from either end.
INDEXES = [
    *EVERY_VIEWS,
    *(IndexModel([("live", 1), (order, 1), ("_id", 1)]) for order in ORDERS.values()),
    *(IndexModel([("live", 1), ("doc.status", 1), (order, 1), ("_id", 1)]) for order in ORDERS.values()),
    IndexModel([("live", 1), ("keys.words", 1), ("doc.status", 1), ("createdAt", 1), ("_id", 1)]),
]

#: Sorts behind every other character: what begins with a word ends before the word with this behind it.
_LAST = "\U0010ffff"


class Place(NamedTuple):
    """Behind which application a list goes on, and on which page."""

    page: int
    value: Any
    application_id: str


class Listed(NamedTuple):
    """One page: what is on it, where the next one begins, and how many there are on all."""

    items: list[Application]
    following: Place | None
    total: int


class ApplicationStore:
    """Applications as lists have them."""

    def __init__(self, copies: Collection[dict[str, Any]], totals: CountCache) -> None:
        self._copies, self._totals = copies, totals

    def page(self, query: ApplicationQuery, after: Place | None = None) -> Listed:
        """Return the page that begins behind *after*, else the one that *query* names.

        The total is counted up to one more than `COUNTED`, all in one round trip; where the list is long it may be as
        old as `CountCache` allows, but never contradicts the page.
        """
        number = after.page if after else query.page or 1
        skip = 0 if after else (number - 1) * query.limit
        wanted, listed = _wanted(query), (query.status, *query.beginnings)
        known = self._totals.known(listed)
        direction = DESCENDING if query.descending else ASCENDING
        pipeline: list[dict[str, Any]] = [
            {"$match": {"$and": [wanted, _beyond(query, after)]} if after else wanted},
            {"$sort": {query.order: direction, "_id": direction}},
            *self._cut(skip, query.limit + 1),
            *(self._counted(wanted) if known is None else ()),
        ]
        with reaching_mongodb():
            found = list(self._copies.aggregate(pipeline))
        if known is None:
            # Of nothing, there is no count.
            known = self._totals.keep(listed, found.pop()["total"] if found and "total" in found[-1] else 0)
        page = found[: query.limit]
        more = len(found) > query.limit
        following = Place(number + 1, _at(page[-1], query.order), page[-1]["_id"]) if more else None
        seen = skip + len(found) if found else 0
        # What is on the page is newer than what was counted, and the last page found by number tells the total itself.
        total = seen if page and not more and not after else max(known, seen)
        return Listed([_application(copy) for copy in page], following, total)

    def _counted(self, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
        counting = [{"$match": wanted}, {"$limit": COUNTED + 1}, {"$count": "total"}]
        return [{"$unionWith": {"coll": self._copies.name, "pipeline": counting}}]

    def _cut(self, skip: int, limit: int) -> list[dict[str, Any]]:
        if not skip:
            return [{"$limit": limit}]
        # What is left out is left out by the index alone, without a look at any copy.
        return [
            {"$project": {"_id": 1}},
            {"$skip": skip},
            {"$limit": limit},
            {"$lookup": {"from": self._copies.name, "localField": "_id", "foreignField": "_id", "as": "copy"}},
            {"$unwind": "$copy"},
            {"$replaceRoot": {"newRoot": "$copy"}},
        ]


def _wanted(query: ApplicationQuery) -> dict[str, Any]:
    """Return the filter of all pages together."""
    wanted: dict[str, Any] = {"live": True}
    if query.status is not None:
        wanted["doc.status"] = query.status.value
    if beginnings := query.beginnings:
        # Bounds in the index, where a regular expression would be matched against each word.
        wanted["keys.words"] = {"$all": [{"$elemMatch": {"$gte": text, "$lt": text + _LAST}} for text in beginnings]}
    return wanted


def _beyond(query: ApplicationQuery, after: Place) -> dict[str, Any]:
    # The first condition bounds the walk in the index; the second leaves out what shares the last one's place.
    beyond, up_to = ("$lt", "$lte") if query.descending else ("$gt", "$gte")
    return {
        query.order: {up_to: after.value},
        "$or": [{query.order: {beyond: after.value}}, {"_id": {beyond: after.application_id}}],
    }


def _at(copy: Mapping[str, Any], path: str) -> Any:
    return reduce(getitem, path.split("."), copy)


def _application(copy: Mapping[str, Any]) -> Application:
    marks = {name: copy[name] for name in ("version", "createdAt", "createdBy", "updatedAt", "updatedBy")}
    return Application.model_validate({**copy["doc"], **marks, "applicationId": copy["_id"]}, strict=False)
