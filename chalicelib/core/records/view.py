"""The read model for lists: a copy of every living record in MongoDB, one collection per kind.

A copy is replaced only by a state with a higher sequence (`Record.sequence`), so states may be applied in any order and
any number of times. A copy holds `annotations` beside `doc`, and `sequence`, once a worker has annotated the record. A
copy of a kind with a shape holds the record's public JSON as text (`shape`). A deleted record leaves a tombstone for as
long as older states may still arrive.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple

import pymongo
from bson import encode
from pymongo import IndexModel, ReplaceOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from chalicelib.core.errors import Unavailable
from chalicelib.core.records.models import Kind, Record, latest
from chalicelib.core.runtime import logs
from chalicelib.core.runtime.settings import RecordSettings
from chalicelib.core.stores.driver_errors import reaching_mongodb

#: MongoDB's duplicate key error: the filter missed a copy that is as new, and the upsert found its _id taken.
_TAKEN = 11000
#: How long eager updates pause after MongoDB was slow or unreachable; meanwhile the stream alone applies states.
_PAUSE_SECONDS = 5.0


#: The fields from which the sequence of a copy follows.
_SEQUENCE = {"version": 1, "sequence": 1}

#: Indexes of every kind's collection, beside those of the kind's own lists.
INDEXES = [IndexModel([("purgeAt", pymongo.ASCENDING)], expireAfterSeconds=0)]


class Failed(NamedTuple):
    """A record that could not be applied, and the error."""

    record: Record
    error: Exception


class _CopyWrite(NamedTuple):
    """A record to be applied, and its copy."""

    record: Record
    copy: dict[str, Any]

    def write(self, *, new: bool) -> "ReplaceOne[dict[str, Any]]":
        """Return the write that replaces an older copy; with *new*, also inserts the first copy."""
        older = _sequence_filter({"$lt": self.record.sequence})
        return ReplaceOne({"_id": self.record.id, **older}, self.copy, upsert=new)


class UnknownKind(Exception):
    """No slice of this build declares records of this kind."""


class View:
    """The copies, by kind."""

    def __init__(
        self,
        database: Callable[[], Database[dict[str, Any]]],
        kinds: Mapping[str, Kind],
        settings: RecordSettings,
        ticks: Callable[[], float] = monotonic,
    ) -> None:
        """Keep the copies of *kinds* in *database*, which is called when the database is first needed."""
        self._database, self._kinds, self._ticks = database, kinds, ticks
        self._tombstones = timedelta(hours=settings.tombstone_hours)
        self._early_seconds = settings.early_within_ms / 1000
        self._resume_ticks = 0.0

    def of(self, kind: str) -> Collection[dict[str, Any]]:
        """Return the collection of one kind."""
        return self._database()[collection_of(kind)]

    def apply_eagerly(self, records: Sequence[Record]) -> None:
        """Apply *records* before the stream does, so that callers read their own writes in lists. Never raises."""
        if not records or self._ticks() < self._resume_ticks:
            return
        try:
            with pymongo.timeout(self._early_seconds):
                failed = self.apply(records)
        except Unavailable:
            self._resume_ticks = self._ticks() + _PAUSE_SECONDS
            logs.line().count("viewsLate")
            return
        except Exception as error:  # noqa: BLE001 # the write is committed and must be answered so
            logs.failed("eager_view_failed", error)
            return
        logs.line().count("viewsLate", len(failed))

    def apply(self, records: Sequence[Record]) -> list[Failed]:
        """Apply each of *records* unless its copy is as new. Returns the records that can never be applied.

        Raises:
            Unavailable: MongoDB cannot be reached; some records may be applied.
        """
        writes: dict[str, list[_CopyWrite]] = {}
        failed = []
        for record in latest(records):
            try:
                copy_write = _CopyWrite(record, self._checked_copy(record))
            except Exception as error:  # noqa: BLE001 # one record's fault must not keep the others back
                failed.append(Failed(record, error))
            else:
                # Only here: MongoDB refuses a bulk without writes, so a kind without valid records must have no entry.
                writes.setdefault(record.kind, []).append(copy_write)
        return failed + [fault for kind, group in writes.items() for fault in self._apply(kind, group)]

    def stale(self, records: Sequence[Record]) -> list[Record]:
        """Return the records whose copies are older or missing: few, as most were applied eagerly.

        Raises:
            Unavailable: MongoDB cannot be reached.
        """
        shown = self.shown(records)
        return [record for record in records if record.sequence > shown.get((record.kind, record.id), 0)]

    def shown(self, records: Iterable[Record]) -> dict[tuple[str, str], int]:
        """Return the sequence of the copy of each of *records*, by kind and id. Reads once for each kind.

        Omits records with neither copy nor tombstone, and records of undeclared kinds.
        """
        ids: dict[str, list[str]] = {}
        for record in records:
            if record.kind in self._kinds:
                ids.setdefault(record.kind, []).append(record.id)
        return {
            (kind, record_id): sequence
            for kind, some in ids.items()
            for record_id, sequence in self.sequences(kind, some).items()
        }

    def sequences(self, kind: str, ids: Sequence[str]) -> dict[str, int]:
        """Return the sequence of the copy of each of *ids*; ids with neither copy nor tombstone are left out.

        Counts only copies that a majority has acknowledged, so no crash reverts a returned sequence.
        """
        majority_read = self.of(kind).with_options(read_concern=ReadConcern("majority"))
        with reaching_mongodb():
            found = majority_read.find({"_id": {"$in": list(ids)}}, _SEQUENCE)
            return {document["_id"]: _sequence(document) for document in found}

    def walk(self, kind: str, after: str, limit: int) -> list[tuple[str, int]]:
        """Return id and sequence of the next living copies beyond the id *after*."""
        with reaching_mongodb():
            found = self.of(kind).find({"_id": {"$gt": after}, "live": True}, _SEQUENCE)
            return [(document["_id"], _sequence(document)) for document in found.sort("_id").limit(limit)]

    def forget(self, kind: str, record_id: str, sequence: int) -> None:
        """Delete the copy of a state that does not exist, if the copy still has *sequence*."""
        with reaching_mongodb():
            self.of(kind).delete_one({"_id": record_id, **_sequence_filter(sequence)})

    def _checked_copy(self, record: Record) -> dict[str, Any]:
        """Return the copy or tombstone of *record*.

        Raises:
            UnknownKind: no slice declares the kind.
        """
        if record.kind not in self._kinds:
            raise UnknownKind(record.kind)
        copy = self._tombstone(record) if record.deleted else self._copy(record)
        # Encoded here as a check: in a bulk, one copy that cannot be encoded fails all.
        encode(copy)
        return copy

    def _copy(self, record: Record) -> dict[str, Any]:
        return {
            "_id": record.id,
            "version": record.version,
            "live": True,
            "createdAt": record.created_at,
            "createdBy": record.created_by,
            "updatedAt": record.updated_at,
            "updatedBy": record.updated_by,
            "doc": record.doc,
            "keys": dict(self._kinds[record.kind].keys(record)),
            **self._kinds[record.kind].stored(record),
            **({"annotations": record.annotations, "sequence": record.sequence} if record.revision else {}),
        }

    def _tombstone(self, record: Record) -> dict[str, Any]:
        mark = {"sequence": record.sequence} if record.revision else {}
        return {"_id": record.id, "version": record.version, **mark, "purgeAt": datetime.now(UTC) + self._tombstones}

    def _apply(self, kind: str, group: Sequence[_CopyWrite], *, new: bool = True) -> list[Failed]:
        try:
            with reaching_mongodb():
                self.of(kind).bulk_write([copy_write.write(new=new) for copy_write in group], ordered=False)
        except BulkWriteError as error:
            if error.details.get("writeConcernErrors"):
                raise Unavailable("MongoDB could not keep what was written.") from error
            faults = [(group[fault["index"]], fault["code"]) for fault in error.details["writeErrors"]]
            failed = [Failed(copy_write.record, error) for copy_write, code in faults if code != _TAKEN]
            # Two first copies may race. If the older copy won, the newer copy replaces the older.
            taken = [copy_write for copy_write, code in faults if code == _TAKEN]
            return failed + (self._apply(kind, taken, new=False) if taken else [])
        return []


def collection_of(kind: str) -> str:
    """Return the name of a kind's collection."""
    return f"records.{kind}"


def _sequence(copy: Mapping[str, Any]) -> int:
    """Return the sequence of *copy*; a copy of a record that was never annotated has its version alone."""
    sequence: int = copy.get("sequence", copy["version"])
    return sequence


def _sequence_filter(sequence: Any) -> dict[str, Any]:
    """Return the filter for a copy whose sequence is, or meets, *sequence*."""
    # MongoDB refuses $expr in the filter of an upsert.
    return {"$or": [{"sequence": sequence}, {"sequence": None, "version": sequence}]}
