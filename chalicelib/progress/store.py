"""Progress in one MongoDB collection: one document per job. One atomic update makes each write, by the server's clock.

Every query excludes expired documents itself, so no reader depends on the TTL monitor.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument

from chalicelib.core.coordination.errors import KeyReused
from chalicelib.core.errors import NotYours
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores import newest
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.progress.changes import (
    LIVE,
    UNCHANGED_MS,
    Used,
    assigned,
    begun,
    increased,
    remembered,
    reserved,
    stages,
)
from chalicelib.progress.errors import (
    ProgressCompleted,
    ProgressExists,
    ProgressNotFound,
    RevisionConflict,
    WrittenHere,
)
from chalicelib.progress.models import COUNTERS, Snapshot, Write, snapshot_of

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
        kept_ms: int = UNCHANGED_MS,
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
                [begun(owner, type_, total, mark=mark, kept_ms=kept_ms)],
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

    def put(
        self, session_id: str, owner: Account, write: Write, *, key: str | None = None, anyone: bool = False
    ) -> Snapshot:
        """Write the progress of a job elsewhere; the first write makes it, and *owner* owns it. *anyone*: for admins.

        One atomic update. With *key*, a repeat of the same write returns the newest snapshot and changes nothing, as
        long as the key is among the last `changes.KEYS` keys.

        Raises:
            NotYours: another account owns the progress.
            WrittenHere: the job runs in this service.
            ProgressCompleted: the snapshot is final.
            RevisionConflict: the progress has another revision than ``write.revision``.
            ProgressNotFound: a revision was expected, and there is no such progress.
            KeyReused: *key* was used for another write.
        """
        used = Used.of(key, write) if key else None
        whose = {} if anyone else {"owner": owner.account_id}
        while True:
            if found := self._write(session_id, {**whose, "here": False}, write, used):
                return found
            with reaching_mongodb():
                present = self._jobs.find_one({"_id": session_id, "$expr": LIVE})
            if present is None and write.revision:
                raise ProgressNotFound
            if present is None:
                self._reserve(session_id, owner)
            elif repeated := _refused(present, owner, write, used, anyone=anyone):
                return repeated

    def _write(self, session_id: str, where: Mapping[str, Any], write: Write, used: Used | None) -> Snapshot | None:
        expected = {} if write.revision is None else {"revision": write.revision}
        unused = {"keys.key": {"$ne": used.key}} if used else {}
        changes = [assigned(write.values), increased(write.steps), *([remembered(used)] if used else [])]
        with reaching_mongodb():
            found = self._jobs.find_one_and_update(
                {"_id": session_id, "completed": False, "$expr": LIVE, **where, **expected, **unused},
                stages(*changes, completed=write.completed),
                return_document=ReturnDocument.AFTER,
            )
        return snapshot_of(found) if found else None

    def _reserve(self, session_id: str, owner: Account) -> None:
        """Keep the id for the first write of *owner*, unless another account has the id. Safe to repeat."""
        with reaching_mongodb():
            self._jobs.update_one({"_id": session_id}, [reserved(owner, mark=ids.new_id())], upsert=True)

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


def _refused(
    found: Mapping[str, Any], owner: Account, write: Write, used: Used | None, *, anyone: bool
) -> Snapshot | None:
    """Return the snapshot if *used* was used for this write, None if nothing stands in the write's way any more.

    Raises:
        NotYours, WrittenHere, KeyReused, ProgressCompleted, RevisionConflict: the reason why nothing was written.
    """
    if not anyone and found["owner"] != owner.account_id:
        raise NotYours
    if found["here"]:
        raise WrittenHere
    same = next((each for each in found.get("keys", ()) if used and each["key"] == used.key), None)
    if same and used:
        if same["write"] != used.write:
            raise KeyReused("Idempotency-Key")
        return snapshot_of(found)
    if found["completed"]:
        raise ProgressCompleted
    if write.revision is not None and found["revision"] != write.revision:
        raise RevisionConflict(found["revision"])
    return None
