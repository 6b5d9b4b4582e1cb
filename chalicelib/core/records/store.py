"""The system of record: one item per record in DynamoDB, one conditional update per write. Versions have no gaps.

A deleted record leaves a tombstone, so a record created anew under the id continues the versions. Every write stores
the id of its operation, so a retry after a lost answer is recognised.

People edit a record (`Records.commit`): the version rises. Workers annotate a record (`Records.annotate`): the revision
rises, and a version that a user has read can still be edited.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from typing import NamedTuple

from botocore.exceptions import ClientError

from chalicelib.core.errors import ServiceError
from chalicelib.core.records.codec import Annotation, Update, fields_of, record_of
from chalicelib.core.records.errors import NotInThisState, RecordNotFound, RecordTooLarge, VersionConflict
from chalicelib.core.records.models import Change, Doc, Expected, Record, State, key
from chalicelib.core.records.repeats import created_before, written_before
from chalicelib.core.runtime import clock, hops
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed, Table, Write

#: Concurrent writes within one call: the number of connections that a client keeps.
_AT_ONCE = 10
_SET_AUTHORSHIP = "updatedAt = :now, updatedBy = :by, operation = :operation, hops = :hops"
#: No version is earlier than the version before, whatever the clocks of their processes. The texts sort as the times.
_NOT_EARLIER = "updatedAt <= :now"
_NEXT = "version = if_not_exists(version, :none) + :one"

#: Applies committed states to the view at once, before the stream does. Never raises.
Show = Callable[[Sequence[Record]], None]


class Prepared(NamedTuple):
    """A write for a transaction, and the record after that write."""

    write: Write
    record: Record


class Records:
    """Records by kind and id. Each call passes the states that it committed to *show*."""

    def __init__(self, table: Table, show: Show) -> None:
        self._table, self.show = table, show

    def get(self, kind: str, record_id: str) -> Record:
        """Return the record, by a consistent read.

        Raises:
            RecordNotFound: there is no such record, or the record was deleted.
        """
        item = self._table.get(key(kind, record_id))
        if item is None or item.get("deleted"):
            raise RecordNotFound
        return record_of(item)

    def get_including_deleted(self, kind: str, record_id: str) -> Record | None:
        """Return the record or its tombstone, by a consistent read; None if no such record ever existed."""
        item = self._table.get(key(kind, record_id))
        return record_of(item) if item else None

    def create(self, kind: str, record_id: str, doc: Doc, *, by: str, operation: str) -> Record:
        """Create a record. Atomic: of many calls for one id, one succeeds. Safe to repeat under the same *operation*.

        A record created anew over a tombstone has no annotations; its version and revision continue.

        Raises:
            RecordExists: there is a record with this id.
            RecordTooLarge: nothing was written.
        """
        change = (
            "SET doc = :doc, annotations = :empty, createdAt = :now, createdBy = :by, made = :operation, "
            f"{_SET_AUTHORSHIP}, {_NEXT} REMOVE deleted"
        )
        values = {":doc": fields_of(doc), ":empty": {}, **_constants(), **_authorship(by, operation)}
        return self._applied(record_of(self._create(key(kind, record_id), change, values)))

    def commit(self, kind: str, change: Change, *, by: str, operation: str) -> Record:
        """Commit one change and return the record. Atomic: one conditional update.

        Safe to repeat under the same *operation* until another edit of the record; annotations do not count as edits.
        One operation commits one change of a record.

        Raises:
            RecordNotFound: there is no such record, or the record was deleted.
            VersionConflict: the record has another version than `Change.expected`.
            NotInThisState: the version is right, and `Change.where` does not hold.
            RecordTooLarge: nothing was written.
        """
        return self._applied(self._commit(kind, change, by, operation))

    def commit_all(
        self, kind: str, changes: Sequence[Change], *, by: str, operation: str
    ) -> list[Record | ServiceError]:
        """Commit every change as `commit` does, several at a time; return the record or error of each, in order."""

        def one(change: Change) -> Record | ServiceError:
            try:
                return self._commit(kind, change, by, operation)
            except ServiceError as error:
                return error

        with ThreadPoolExecutor(min(_AT_ONCE, len(changes) or 1)) as threads:
            # In the caller's context, so that the round trips count for the caller's log record.
            done = [threads.submit(copy_context().run, one, change) for change in changes]
            outcomes = [future.result() for future in done]
        self.show([outcome for outcome in outcomes if isinstance(outcome, Record)])
        return outcomes

    def remove(
        self,
        kind: str,
        record_id: str,
        expected: Expected,
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
        change = f"SET doc = :empty, annotations = :empty, deleted = :yes, {_SET_AUTHORSHIP}, {_NEXT}"
        values = {":empty": {}, **_constants(), **_authorship(by, operation), **update.values}
        pk, when = key(kind, record_id), update.when
        item = self._edit(pk, change, when=when, values=values, names=update.names, expected=expected)
        return self._applied(record_of(item))

    def annotate(
        self, kind: str, record_id: str, fields: Doc, *, operation: str, where: Sequence[State] = ()
    ) -> Record:
        """Set *fields* of the record's annotations, for workers; return the record. Atomic: one conditional update.

        Version, document, updatedAt, updatedBy and operation stay, so an edit of the version that a user has read still
        succeeds. *where* lists the allowed states of the document, as `Change.where`. Safe to repeat under the same
        *operation*: a repeat of the record's last annotation changes nothing; after another annotation a repeat sets
        its fields again. A late repeat may meet a record that was created anew under the id; *where* can name a field
        that distinguishes the two records. The first annotation of an item of an earlier release takes two updates.

        Raises:
            RecordNotFound: there is no such record, or the record was deleted.
            NotInThisState: *where* does not hold.
            RecordTooLarge: nothing was written. Document and annotations share the 400 KB of one item.
        """
        return self._applied(record_of(self._annotate(key(kind, record_id), fields, operation, where)))

    def update_with_retry(
        self, kind: str, record_id: str, change: Callable[[Doc], Doc], *, by: str, operation: str, attempts: int = 5
    ) -> Record:
        """Commit the fields that *change* derives from the document, for callers that hold no version.

        *change* is called again for each newer document. A refused write returns the newer document, saving a read.

        Raises:
            RecordNotFound: there is no such record, or the record was deleted.
            VersionConflict: other edits came first *attempts* times.
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

        The caller commits the write and then calls `show` with the prepared state. An annotation between
        read and commit refuses nothing. The prepared state lacks such an annotation; the stream brings the full state.
        """
        update, author = Update(fields, record.version, where), _authorship(by, operation)
        author[":now"] = max(author[":now"], record.updated_at)
        change = f"SET {', '.join([*update.sets, _SET_AUTHORSHIP, 'version = version + :one'])}"
        write = self._table.update_entry(
            key(record.kind, record.id),
            change,
            when=update.when,
            values={":one": 1, **author, **update.values},
            names=update.names,
        )
        made = replace(
            record,
            version=record.version + 1,
            doc=record.doc | fields,
            updated_at=author[":now"],
            updated_by=by,
            operation=operation,
            hops=author[":hops"],
        )
        return Prepared(write, made)

    def batch_get(self, keys: Sequence[str]) -> list[Item]:
        """Return the items of *keys* that exist, in any order."""
        return self._table.batch_get(keys)

    def walk(self, after: str, limit: int) -> tuple[list[Item], str]:
        """Return the next items beyond the key *after*, and the key to continue after: "" at the start and the end."""
        return self._table.scan(after, limit)

    def _commit(self, kind: str, change: Change, by: str, operation: str) -> Record:
        update = Update(change.fields, change.expected, change.where)
        expression = f"SET {', '.join([*update.sets, _SET_AUTHORSHIP, 'version = version + :one'])}"
        values = {":one": 1, **_authorship(by, operation), **update.values}
        # Unless one version is expected, only the operation tells a repeat from the first write.
        one = isinstance(change.expected, int)
        when = update.when if one else f"{update.when} AND operation <> :operation"
        pk, expected = key(kind, change.id), change.expected
        return record_of(self._edit(pk, expression, when=when, values=values, names=update.names, expected=expected))

    def _create(self, pk: str, change: str, values: Item) -> Item:
        free = f"attribute_not_exists(pk) OR (deleted = :yes AND made <> :operation AND {_NOT_EARLIER})"
        try:
            return self._update(pk, change, when=free, values=values)
        except ConditionFailed as refused:
            item = refused.item or {}
            if made := created_before(item, values[":operation"]):
                return made
            at = item["updatedAt"]
        return self._create(pk, change, values | {":now": at})

    def _edit(
        self, pk: str, change: str, *, when: str, values: Item, names: Mapping[str, str], expected: Expected
    ) -> Item:
        """Apply an edit, at the present or at the time of the version before, whichever is later.

        A second update is made only after a version of a process whose clock is ahead. Raises as `commit`.
        """
        try:
            return self._update(pk, change, when=f"{when} AND {_NOT_EARLIER}", values=values, names=names)
        except ConditionFailed as refused:
            try:
                return written_before(refused.item, expected, values[":operation"])
            except NotInThisState as error:
                if (at := error.current.updated_at) <= values[":now"]:
                    raise
        return self._edit(pk, change, when=when, values=values | {":now": at}, names=names, expected=expected)

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
            # No write removes the map of a living record, so the recursion ends after two turns.
            if first == ("annotations" in item):
                return self._annotate(pk, fields, operation, where, first=not first)
            raise NotInThisState(record_of(item)) from refused

    def _update(self, pk: str, change: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> Item:
        try:
            return self._table.update(pk, change, when=when, values=values, names=names)
        except ClientError as error:
            # DynamoDB alone knows the size of the whole item, with the fields that stay.
            if "size" in error.response["Error"]["Message"]:
                raise RecordTooLarge from error
            raise

    def _applied(self, record: Record) -> Record:
        self.show([record])
        return record


def _constants() -> Item:
    return {":none": 0, ":one": 1, ":yes": True}


def _authorship(by: str, operation: str) -> Item:
    return {":now": clock.stamp(), ":by": by, ":operation": operation, ":hops": hops.current()}
