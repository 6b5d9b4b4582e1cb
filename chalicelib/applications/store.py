"""Lists of applications: what the view has of them, found by its indexes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.collection import Collection

from chalicelib.applications.search import COUNTED, ORDERS, ApplicationQuery
from chalicelib.outages import reaching_mongodb
from chalicelib.records.view import INDEXES as EVERY_VIEWS

#: Every order, of all and of those in one state. Directions need none of their own: an index is read from either end.
INDEXES = [
    *EVERY_VIEWS,
    *(IndexModel([("live", 1), (order, 1), ("_id", 1)]) for order in ORDERS.values()),
    *(IndexModel([("live", 1), ("doc.status", 1), (order, 1), ("_id", 1)]) for order in ORDERS.values()),
    IndexModel([("live", 1), ("keys.words", 1)]),
]

#: Sorts behind every other character: what begins with a word ends before the word with this behind it.
_LAST = "\U0010ffff"


class Place(NamedTuple):
    """Behind which application a list goes on, and on which page that is."""

    page: int
    value: Any
    application_id: str


class Listed(NamedTuple):
    """The copies of one page, and how many there are on all."""

    copies: Sequence[dict[str, Any]]
    total: int


class ApplicationStore:
    """Applications as lists have them."""

    def __init__(self, copies: Collection[dict[str, Any]]) -> None:
        self._copies = copies

    def page(self, query: ApplicationQuery, skip: int, after: Place | None) -> Listed:
        """Return up to one copy more than *query* asks for, and the total, counted up to one more than `COUNTED`.

        One round trip. *skip* copies are left out, and all up to *after* if that is given.
        """
        direction = DESCENDING if query.descending else ASCENDING
        wanted = _wanted(query)
        counting = [{"$match": wanted}, {"$limit": COUNTED + 1}, {"$count": "total"}]
        pipeline: list[dict[str, Any]] = [
            {"$match": {"$and": [wanted, _beyond(query, after)]} if after else wanted},
            {"$sort": {query.order: direction, "_id": direction}},
            {"$skip": skip},
            {"$limit": query.limit + 1},
            {"$unionWith": {"coll": self._copies.name, "pipeline": counting}},
        ]
        with reaching_mongodb():
            found = list(self._copies.aggregate(pipeline))
        # Of nothing, there is no count.
        total = found.pop()["total"] if found and "total" in found[-1] else 0
        return Listed(found, total)


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
