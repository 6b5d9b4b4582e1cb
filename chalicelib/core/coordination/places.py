"""Places: how many requests may wait at the same time, in all and per caller, across all instances.

Waiting requests poll MongoDB, so the places are in MongoDB too: one document holds the leases. A lease ends by itself,
so a killed process frees its place.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import ids, logs, waiting
from chalicelib.core.runtime.settings import WaitingSettings
from chalicelib.core.stores.driver_errors import reaching_mongodb

INDEXES = [IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0)]

#: A lease outlasts its wait by this time: the end of a wait may take the deadline of a slow store.
_MARGIN_MS = 5_000
_ID = "waiting"


class Lease(NamedTuple):
    """A taken place."""

    id: str


class Places:
    """Leased places for requests that wait."""

    def __init__(self, collection: Collection[dict[str, Any]], limits: WaitingSettings) -> None:
        self._places, self._limits = collection, limits

    @contextmanager
    def place(self, caller: str, wait_ms: int, operation: str | None = None) -> Iterator[bool]:
        """Hold a place of *caller* for the length of the block, *wait_ms* at most; yield whether a place was free.

        The current request also counts among the waiting requests of its process. Without a place the block must not
        wait.

        Raises:
            Unavailable: the store could not be reached.
        """
        lease = self.take(caller, wait_ms, operation)
        if lease is None:
            yield False
            return
        try:
            yield waiting.begin()
        finally:
            self.give_back(lease)

    def take(self, caller: str, wait_ms: int, operation: str | None = None) -> Lease | None:
        """Take a place of *caller* for *wait_ms* and a margin, or return None if no place is free.

        A retry of *operation* replaces the lease of an attempt that died, so no operation has two places.

        Atomic: no two callers take the same place. A lost response may cost a place until the end of the lease.

        Raises:
            Unavailable: the store could not be reached.
        """
        lease = Lease(ids.new_id())
        with reaching_mongodb():
            found = self._places.find_one_and_update(
                {"_id": _ID},
                _taken(lease, caller, operation or lease.id, wait_ms + _MARGIN_MS, self._limits),
                {"leases": {"$elemMatch": {"id": lease.id}}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        if found and found.get("leases"):
            return lease
        logs.line().count("placesRefused")
        return None

    def give_back(self, lease: Lease) -> None:
        """End *lease*. Safe to repeat. If the store cannot be reached, the lease ends by itself."""
        try:
            with reaching_mongodb():
                self._places.update_one({"_id": _ID}, {"$pull": {"leases": {"id": lease.id}}})
        except Unavailable:
            logs.line().count("placesNotGivenBack")


def _taken(
    lease: Lease, caller: str, operation: str, lasts_ms: int, limits: WaitingSettings
) -> Sequence[Mapping[str, Any]]:
    """Return the update that drops ended leases and appends *lease*, or that changes nothing if no place is free."""
    own = {"$filter": {"input": "$$live", "cond": {"$eq": ["$$this.caller", {"$literal": caller}]}}}
    free = {
        "$and": [
            {"$lt": [{"$size": "$$live"}, limits.places]},
            {"$lt": [{"$size": own}, limits.places_per_caller]},
        ]
    }
    until = {"$add": ["$$NOW", lasts_ms]}
    added = {"id": lease.id, "operation": operation, "caller": {"$literal": caller}, "until": until}
    before = {"$ifNull": ["$leases", []]}
    others = {"$and": [{"$gt": ["$$this.until", "$$NOW"]}, {"$ne": ["$$this.operation", operation]}]}
    live = {"$filter": {"input": before, "cond": others}}
    after = {"$cond": [free, {"$concatArrays": ["$$live", [added]]}, before]}
    # MongoDB writes nothing where an update leaves the document as it was, so a refusal costs a read.
    return [
        {"$set": {"leases": {"$let": {"vars": {"live": live}, "in": after}}}},
        {"$set": {"purgeAt": {"$max": "$leases.until"}}},
    ]
