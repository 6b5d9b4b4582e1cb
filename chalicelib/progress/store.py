"""Progress in one MongoDB collection: one document per job. One atomic update makes each write, by the server's clock.

Every query excludes expired documents itself, so no reader depends on the TTL monitor.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument

from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores import newest
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.progress.changes import LIVE, assigned, begun, increased, stages
from chalicelib.progress.errors import ProgressCompleted, ProgressExists, ProgressNotFound
from chalicelib.progress.models import COUNTERS, Snapshot, snapshot_of

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

_NEWEST_FIRST = newest.newest_first()
INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel(_NEWEST_FIRST, name="newest"),
    IndexModel([("owner", ASCENDING), *_NEWEST_FIRST], name="newest-of-owner"),
]

#: Revision 0 only keeps an id for its first write.
_READABLE: Mapping[str, Any] = {"revision": {"$gt": 0}, "$expr": LIVE}


class ProgressStore:
    """The progress of every job, by session id and by owner."""

    def __init__(self, collection: Collection[dict[str, Any]]) -> None:
        self._jobs = collection

    def begin(
        self,
        session_id: str,
        owner: Account,
        type_: str,
        total: int,
        *,
        operation: str = "",
        session: "ClientSession | None" = None,
    ) -> Snapshot:
        """Begin the progress of a job of this service, as `progress.begin` promises.

        Raises:
            ProgressExists: the id is in use.
        """
        mark = operation or ids.new_id()
        with reaching_mongodb():
            found: Any = self._jobs.find_one_and_update(
                {"_id": session_id},
                [begun(owner, type_, total, mark=mark)],
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
        if found["begunBy"] != mark:
            raise ProgressExists
        return snapshot_of(found)

    def move(
        self,
        session_id: str,
        increments: Mapping[str, int],
        *,
        msg: str | None = None,
        completed: bool = False,
        session: "ClientSession | None" = None,
    ) -> Snapshot:
        """Add *increments* to counters, as `progress.move` promises.

        Raises:
            ProgressNotFound: there is no such progress.
            ProgressCompleted: the snapshot is final.
            ValueError: there is no such counter.
        """
        if unknown := set(increments) - set(COUNTERS):
            raise ValueError(f"no counters: {', '.join(sorted(unknown))}")
        change = assigned({} if msg is None else {"msg": msg})
        with reaching_mongodb():
            found = self._jobs.find_one_and_update(
                {"_id": session_id, "completed": False, **_READABLE},
                stages(increased(increments), change, completed=completed),
                return_document=ReturnDocument.AFTER,
                session=session,
            )
        if found is None:
            self.get(session_id, session=session)
            raise ProgressCompleted
        return snapshot_of(found)

    def get(self, session_id: str, *, session: "ClientSession | None" = None) -> Snapshot:
        """Return the newest snapshot.

        Raises:
            ProgressNotFound: there is no such progress, or it has expired.
        """
        with reaching_mongodb():
            found = self._jobs.find_one({"_id": session_id, **_READABLE}, session=session)
        if found is None:
            raise ProgressNotFound
        return snapshot_of(found)

    def page(self, account_id: str | None, limit: int, after: str | None) -> list[Snapshot]:
        """Return up to *limit* snapshots after the position *after*, newest first; of one account, or of all (None)."""
        query: dict[str, Any] = {**_READABLE}
        if account_id is not None:
            query["owner"] = account_id
        if after:
            query |= newest.older_than(after)
        with reaching_mongodb():
            return [snapshot_of(found) for found in self._jobs.find(query, sort=_NEWEST_FIRST, limit=limit)]
