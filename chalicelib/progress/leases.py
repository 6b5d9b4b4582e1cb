"""Leases of pushers: each job has one pusher at a time. One conditional update decides each step.

A lease ends only where its pusher has pushed the newest revision, or when its time is over. So a change finds either a
pusher that will push it, or no lease.
"""

from typing import Any

from pymongo.collection import Collection

from chalicelib.core.runtime import ids
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.progress.changes import LIVE

#: Longer than a pusher works, with the way of its message.
LEASE_MS = 50_000

_FREE = {"$not": [{"$gt": ["$push.until", "$$NOW"]}]}


class Leases:
    """The leases in the documents of the jobs."""

    def __init__(self, collection: Collection[dict[str, Any]]) -> None:
        self._jobs = collection

    def take(self, session_id: str) -> str | None:
        """Take the lease of the job, unless there is one or the newest revision is pushed. Return the lease's id."""
        news = {"$gt": ["$revision", {"$ifNull": ["$push.revision", 0]}]}
        return self._change({"_id": session_id, "$expr": {"$and": [LIVE, _FREE, news]}})

    def renew(self, session_id: str, lease: str) -> str | None:
        """Replace *lease* by a new one for the next pusher, and return its id; None if *lease* is gone."""
        return self._change({"_id": session_id, "push.lease": lease})

    def holds(self, session_id: str, lease: str) -> bool:
        """Return whether *lease* is the lease of the job, in its time."""
        valid = {"$gt": ["$push.until", "$$NOW"]}
        with reaching_mongodb():
            return self._jobs.find_one({"_id": session_id, "push.lease": lease, "$expr": valid}, {"_id": 1}) is not None

    def release(self, session_id: str, lease: str, revision: int) -> bool:
        """End *lease*, after *revision* was pushed. Return whether it is ended: not if there is a newer revision."""
        mine = {"_id": session_id, "push.lease": lease}
        done = {"push": {"lease": lease, "until": "$$NOW", "revision": revision}}
        with reaching_mongodb():
            ended = self._jobs.update_one({**mine, "revision": {"$lte": revision}}, [{"$set": done}])
            return bool(ended.matched_count) or self._jobs.find_one(mine, {"_id": 1}) is None

    def _change(self, where: dict[str, Any]) -> str | None:
        lease = ids.new_id()
        taken = {"push.lease": lease, "push.until": {"$add": ["$$NOW", LEASE_MS]}}
        with reaching_mongodb():
            return lease if self._jobs.update_one(where, [{"$set": taken}]).matched_count else None
