"""Lists of applications, read from the read model by its indexes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.collection import Collection

from chalicelib.applications.search import COUNTED, KIND, ORDERS, SHAPE, ApplicationQuery
from chalicelib.core.records.count_cache import CountCache
from chalicelib.core.records.view import INDEXES as VIEW_INDEXES
from chalicelib.core.stores.driver_errors import reaching_mongodb

#: An index per order, for all applications and for one status. MongoDB reads an index in both directions.
INDEXES = [
    *VIEW_INDEXES,
    *(IndexModel([("live", 1), (order, 1), ("_id", 1)]) for order in ORDERS.values()),
    *(IndexModel([("live", 1), ("doc.status", 1), (order, 1), ("_id", 1)]) for order in ORDERS.values()),
    IndexModel([("live", 1), ("keys.words", 1), ("doc.status", 1), ("createdAt", 1), ("_id", 1)]),
]

#: The highest code point. Every text that begins with a word sorts before the word followed by the highest code point.
_HIGHEST = "\U0010ffff"


class Cursor(NamedTuple):
    """The position of a cursor: the last application before the page (order value and id), and the page number."""

    page: int
    value: Any
    application_id: str


class Listed(NamedTuple):
    """One page: the JSON of each application, the cursor position of the next page, and the total of all pages."""

    items: list[str]
    next_cursor: Cursor | None
    total: int


class ApplicationStore:
    """Reads lists of applications from the read model."""

    def __init__(self, copies: Collection[dict[str, Any]], totals: CountCache) -> None:
        self._copies, self._totals = copies, totals

    def page(self, query: ApplicationQuery, after: Cursor | None = None) -> Listed:
        """Return the page that begins after *after*; without *after*, the page named by *query*.

        Page and total take one round trip. The total is counted up to `COUNTED` + 1. The total of a long list may be as
        old as `CountCache` allows, but never contradicts the page.
        """
        number = after.page if after else query.page or 1
        skip = 0 if after else (number - 1) * query.limit
        wanted, listed = _filter(query), (query.status, *query.beginnings)
        known = self._totals.known(listed)
        direction = DESCENDING if query.descending else ASCENDING
        pipeline: list[dict[str, Any]] = [
            {"$match": {"$and": [wanted, _after_cursor(query, after)]} if after else wanted},
            {"$sort": {query.order: direction, "_id": direction}},
            *self._page_stages(skip, query.limit + 1),
            {"$project": SHAPE.projection(query.order)},
            *(self._count_stages(wanted) if known is None else ()),
        ]
        with reaching_mongodb():
            found = list(self._copies.aggregate(pipeline))
        if known is None:
            # MongoDB returns no count document when nothing matches.
            known = self._totals.keep(listed, found.pop()["total"] if found and "total" in found[-1] else 0)
        page = found[: query.limit]
        more = len(found) > query.limit
        next_cursor = Cursor(number + 1, page[-1]["value"], page[-1]["_id"]) if more else None
        seen = skip + len(found) if found else 0
        # The page is newer than a cached count. The last page of a list read by number gives the exact total.
        total = seen if page and not more and not after else max(known, seen)
        return Listed([SHAPE.text_of(one, KIND.name) for one in page], next_cursor, total)

    def _count_stages(self, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
        counting = [{"$match": wanted}, {"$limit": COUNTED + 1}, {"$count": "total"}]
        return [{"$unionWith": {"coll": self._copies.name, "pipeline": counting}}]

    def _page_stages(self, skip: int, limit: int) -> list[dict[str, Any]]:
        if not skip:
            return [{"$limit": limit}]
        # Skipping by index keys alone reads no document of the skipped applications.
        return [
            {"$project": {"_id": 1}},
            {"$skip": skip},
            {"$limit": limit},
            {"$lookup": {"from": self._copies.name, "localField": "_id", "foreignField": "_id", "as": "copy"}},
            {"$unwind": "$copy"},
            {"$replaceRoot": {"newRoot": "$copy"}},
        ]


def _filter(query: ApplicationQuery) -> dict[str, Any]:
    """Return the filter of the whole list."""
    wanted: dict[str, Any] = {"live": True}
    if query.status is not None:
        wanted["doc.status"] = query.status.value
    if beginnings := query.beginnings:
        # Range bounds use the index; a regular expression would be matched against each word.
        wanted["keys.words"] = {"$all": [{"$elemMatch": {"$gte": text, "$lt": text + _HIGHEST}} for text in beginnings]}
    return wanted


def _after_cursor(query: ApplicationQuery, after: Cursor) -> dict[str, Any]:
    # The first condition bounds the index scan. The second excludes applications with the same value up to *after*.
    beyond, up_to = ("$lt", "$lte") if query.descending else ("$gt", "$gte")
    return {
        query.order: {up_to: after.value},
        "$or": [{query.order: {beyond: after.value}}, {"_id": {beyond: after.application_id}}],
    }
