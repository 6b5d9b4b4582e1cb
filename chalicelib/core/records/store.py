"""The truth: one item per record in DynamoDB, and one conditional update per write. No version is lost or comes twice.

A deleted record stays as a tombstone, so that a record made anew under its id goes on with its versions. Every write
carries the id of its operation: one whose answer was lost is recognised when it is made again.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from typing import NamedTuple

from botocore.exceptions import ClientError

from chalicelib.core.errors import ServiceError
from chalicelib.core.records.codec import Annotation, Update, fields_of, record_of
from chalicelib.core.records.errors import NotInThisState, RecordExists, RecordNotFound, RecordTooLarge, VersionConflict
from chalicelib.core.records.models import Change, Doc, Record, State, key
from chalicelib.core.runtime import clock
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed, Table, Write

#: Writes at the same time within one call; as many as a client keeps connections.
_AT_ONCE = 10
_STAMP = "updatedAt = :now, updatedBy = :by, operation = :operation"
_NEXT = "version = if_not_exists(version, :none) + :one"

#: Shows what was committed where lists read, without waiting for the stream. Never raises.
Show = Callable[[Sequence[Record]], None]


class Prepared(NamedTuple):
    """A write for a transaction, and the state that it makes."""

    write: Write
    record: Record


class Records:
    """Records by kind and id. *show* is called with what each call has committed."""

    def __init__(self, table: Table, show: Show) -> None:
        self._table, self.show = table, show

    def get(self, kind: str, record_id: str) -> Record:
        """Return the record as it is at this moment.

        Raises:
            RecordNotFound: there is none, or it was deleted.
        """
        item = self._table.get(key(kind, record_id))
        if item is None or item.get("deleted"):
            raise RecordNotFound
        return record_of(item)

    def get_including_deleted(self, kind: str, record_id: str) -> Record | None:
        """Return the record as it is at this moment, also if it was deleted; None if there never was one."""
        item = self._table.get(key(kind, record_id))
        return record_of(item) if item else None

    def create(self, kind: str, record_id: str, doc: Doc, *, by: str, operation: str) -> Record:
        """Make a record. Atomic: of many under one id, one is made. Safe to repeat under the same *operation*.

        Raises:
            RecordExists: there is one.
            RecordTooLarge: nothing was written.
        """
        change = (
            "SET doc = :doc, annotations = :empty, createdAt = :now, createdBy = :by, made = :operation, "
            f"{_STAMP}, {_NEXT} REMOVE deleted"
        )
        values = {":doc": fields_of(doc), ":empty": {}, **_numbers(), **_stamp(by, operation)}
        free = "attribute_not_exists(pk) OR (deleted = :yes AND made <> :operation)"
        try:
            item = self._update(key(kind, record_id), change, when=free, values=values)
        except ConditionFailed as refused:
            item = refused.item or {}
            # Others may have changed it since this operation made it, and it must not be made a second time.
            if item["made"] != operation or item.get("deleted"):
                raise RecordExists(record_of(item)) from refused
        return self._shown(record_of(item))

    def commit(self, kind: str, change: Change, *, by: str, operation: str) -> Record:
        """Make one change. Atomic: one conditional update.

        Safe to repeat under the same *operation* until others change the record; so one operation makes one change.

        Raises:
            RecordNotFound: there is none, or it was deleted.
            VersionConflict: it has another version than was expected.
            NotInThisState: it has that version, and `Change.where` does not hold.
            RecordTooLarge: nothing was written.
        """
        return self._shown(self._commit(kind, change, by, operation))

    def commit_all(
        self, kind: str, changes: Sequence[Change], *, by: str, operation: str
    ) -> list[Record | ServiceError]:
        """Make every change, each as `commit` would, several at the same time; return what came of each, in order."""

        def one(change: Change) -> Record | ServiceError:
            try:
                return self._commit(kind, change, by, operation)
            except ServiceError as error:
                return error

        with ThreadPoolExecutor(min(_AT_ONCE, len(changes) or 1)) as threads:
            # Each in the caller's context, so that its round trips are counted.
            done = [threads.submit(copy_context().run, one, change) for change in changes]
            outcomes = [future.result() for future in done]
        self.show([outcome for outcome in outcomes if isinstance(outcome, Record)])
        return outcomes

    def remove(
        self,
        kind: str,
        record_id: str,
        expected: int | None,
        *,
        by: str,
        operation: str,
        where: Sequence[State] = (),
    ) -> Record:
        """Delete the record and return its tombstone. Atomic; safe to repeat under the same *operation*.

        Raises:
            RecordNotFound, VersionConflict, NotInThisState: as `commit`.
        """
        update = Update({}, expected, where)
        change = f"SET doc = :empty, annotations = :empty, deleted = :yes, {_STAMP}, {_NEXT}"
        values = {":empty": {}, **_numbers(), **_stamp(by, operation), **update.values}
        try:
            pk = key(kind, record_id)
            item = self._update(pk, change, when=update.when, values=values, names=update.names)
        except ConditionFailed as refused:
            item = _ours(refused.item, expected, operation)
        return self._shown(record_of(item))

    def annotate(
        self, kind: str, record_id: str, fields: Doc, *, operation: str, where: Sequence[State] = ()
    ) -> Record:
        """Set *fields* of the record's annotations, for workers; return the record. Atomic: one conditional update.

        Version, document, updatedAt, updatedBy and operation stay, so an edit of the version that a user holds still
        succeeds. *where* names states of which the document must be in one, as `Change.where`. Safe to repeat under the
        same *operation*: a repeat of the record's last annotation changes nothing; after another annotation a repeat
        sets its fields again. A late repeat may meet a record that was created anew under the id; *where* can name a
        field that tells the two apart. The first annotation of an item of an earlier release takes a second update.

        Raises:
            RecordNotFound: there is no such record, or it was deleted.
            NotInThisState: *where* does not hold.
            RecordTooLarge: nothing was written. Document and annotations share the 400 KB of one item.
        """
        return self._shown(record_of(self._annotate(key(kind, record_id), fields, operation, where)))

    def update_with_retry(
        self, kind: str, record_id: str, change: Callable[[Doc], Doc], *, by: str, operation: str, attempts: int = 5
    ) -> Record:
        """Put the fields that *change* makes of the document, for callers without a version of their own.

        *change* is asked anew for each state it meets; a refusal brings that state, so nothing is read twice.

        Raises:
            RecordNotFound: there is none, or it was deleted.
            VersionConflict: others were faster *attempts* times.
        """
        current = self.get(kind, record_id)
        for attempt in range(1, attempts + 1):
            try:
                fields = change(dict(current.doc))
                return self.commit(kind, Change(record_id, current.version, fields), by=by, operation=operation)
            except VersionConflict as conflict:
                if attempt == attempts:
                    raise
                current = conflict.current
        raise ValueError("attempts must be at least 1")

    def prepare(
        self,
        record: Record,
        fields: Doc,
        *,
        by: str,
        operation: str,
        where: Sequence[State] = (),
    ) -> Prepared:
        """Return the write that puts *fields* into exactly this version of *record*, for a transaction.

        The caller commits the write and then calls `show` with the prepared state. An annotation between read and
        commit refuses nothing; it is missing in the prepared state, and the stream brings the state that has it.
        """
        update, stamp = Update(fields, record.version, where), _stamp(by, operation)
        # The version is known here, so the expression needs no default for it.
        change = f"SET {', '.join([*update.sets, _STAMP, 'version = version + :one'])}"
        write = self._table.updating(
            key(record.kind, record.id),
            change,
            when=update.when,
            values={":one": 1, **stamp, **update.values},
            names=update.names,
        )
        made = replace(
            record,
            version=record.version + 1,
            doc=record.doc | fields,
            updated_at=stamp[":now"],
            updated_by=by,
            operation=operation,
        )
        return Prepared(write, made)

    def batch_get(self, keys: Sequence[str]) -> list[Item]:
        """Return the items of *keys* that exist, in any order."""
        return self._table.batch(keys)

    def walk(self, after: str, limit: int) -> tuple[list[Item], str]:
        """Return the next items beyond the key *after*, and where to go on: "" at the beginning and the end."""
        return self._table.scan(after, limit)

    def _commit(self, kind: str, change: Change, by: str, operation: str) -> Record:
        update = Update(change.fields, change.expected, change.where)
        expression = f"SET {', '.join([*update.sets, _STAMP, 'version = version + :one'])}"
        values = {":one": 1, **_stamp(by, operation), **update.values}
        # Where any version will do, nothing else tells a repeat from the first time.
        when = f"{update.when} AND operation <> :operation" if change.expected is None else update.when
        try:
            item = self._update(key(kind, change.id), expression, when=when, values=values, names=update.names)
        except ConditionFailed as refused:
            item = _ours(refused.item, change.expected, operation)
        return record_of(item)

    def _annotate(self, pk: str, fields: Doc, operation: str, where: Sequence[State], *, first: bool = False) -> Item:
        update = Annotation(fields, operation, where, first=first)
        change = f"SET {', '.join(update.sets)}"
        try:
            return self._update(pk, change, when=update.when, values=update.values, names=update.names)
        except ConditionFailed as refused:
            item = refused.item
            if item is None or item.get("deleted"):
                raise RecordNotFound from refused
            if item.get("lastAnnotation") == operation:
                return item
            # No write takes a living record's map away, so this turns at most twice.
            if first == ("annotations" in item):
                return self._annotate(pk, fields, operation, where, first=not first)
            raise NotInThisState(record_of(item)) from refused

    def _update(self, pk: str, change: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> Item:
        try:
            return self._table.update(pk, change, when=when, values=values, names=names)
        except ClientError as error:
            # What was there before counts as well, and only DynamoDB sees both.
            if "size" in error.response["Error"]["Message"]:
                raise RecordTooLarge from error
            raise

    def _shown(self, record: Record) -> Record:
        self.show([record])
        return record


def _ours(item: Item | None, expected: int | None, operation: str) -> Item:
    """Return *item* if this operation has made it before, else raise what refuses the change.

    Raises:
        RecordNotFound, VersionConflict, NotInThisState: as `Records.commit`.
    """
    if item is None:
        raise RecordNotFound
    if item["operation"] == operation:
        return item
    if item.get("deleted"):
        raise RecordNotFound
    current = record_of(item)
    raise NotInThisState(current) if expected in {None, current.version} else VersionConflict(current)


def _numbers() -> Item:
    return {":none": 0, ":one": 1, ":yes": True}


def _stamp(by: str, operation: str) -> Item:
    return {":now": clock.stamp(), ":by": by, ":operation": operation}
