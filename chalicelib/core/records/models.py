"""A versioned record: a document under an id, its versions, and the difference between two states (no I/O)."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One state of a record in the system of record. A deleted record keeps the version and has an empty document.

    Times are UTC, ISO 8601 with milliseconds and ``Z``. *operation* is the id of the operation that wrote the version,
    *made* the id of the operation that created the record, the first time or again.

    People edit *doc*: each edit raises *version* by one. Workers add *annotations*: each annotation raises *revision*
    by one and leaves every other field alone. *revision* is never reset, not even by a deletion.
    """

    kind: str
    id: str
    version: int
    doc: Doc
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    operation: str
    made: str
    deleted: bool = False
    annotations: Doc = field(default_factory=dict)
    revision: int = 0
    #: How many deliveries of webhooks led to the call that wrote the version (`core.runtime.hops`).
    hops: int = 0

    @property
    def created(self) -> bool:
        """Whether this version created the record."""
        return self.made == self.operation and not self.deleted

    @property
    def sequence(self) -> int:
        """Place of this state among all states of the record: every write raises it by one, an edit or annotation."""
        return self.version + self.revision


class Kind(NamedTuple):
    """One kind of record. *keys* derives the search keys of lists; it is pure, and an error in it is permanent.

    *stored* returns further fields of a record's copy: the text of `shape.Shape`. A kind with *text*, the public JSON
    of a record, has public events: created, updated, deleted, and the names that *moves* returns for a version's
    document and the document before.
    """

    name: str
    keys: Callable[[Record], Mapping[str, Any]] = lambda _: {}
    stored: Callable[[Record], Mapping[str, Any]] = lambda _: {}
    text: Callable[[Record], str] | None = None
    moves: Callable[[Doc, Doc | None], Sequence[str]] = lambda _doc, _before: ()


#: The versions that an edit may replace: one version, any of several, or None for whichever there is.
Expected = int | frozenset[int] | None

#: A state of a document: for each field, the values that the field may have.
State = Mapping[str, Collection[Any]]


class Change(NamedTuple):
    """A requested edit.

    *expected* is the version to edit, or several of which one is; None edits any version. *fields* replace fields of
    the document; others stay. *where* lists the allowed states of the document. An empty *where* allows every state.
    """

    id: str
    expected: Expected
    fields: Doc
    where: Sequence[State] = ()


@dataclass(frozen=True, slots=True)
class Version:
    """One entry of a record's history. *doc* is None if the record was deleted or the entry is *lost*.

    A *lost* version was committed, and its document is no longer known.
    """

    version: int
    at: str
    by: str
    doc: Doc | None
    deleted: bool = False
    lost: bool = False


class FieldChange(NamedTuple):
    """One difference between two states; None stands for a missing field."""

    field: str
    before: Any
    after: Any


def expects(expected: Expected, version: int) -> bool:
    """Return whether *expected* allows *version*."""
    return version == expected if isinstance(expected, int) else expected is None or version in expected


def key(kind: str, record_id: str) -> str:
    """Return the key of a record's item."""
    return f"{kind}#{record_id}"


def event_id(kind: str, record_id: str, version: int) -> str:
    """Return the id of the event of one version of a record."""
    return f"{kind}/{record_id}@{version}"


def packed(value: Any) -> str:
    """Return *value* as canonical JSON text: equal values give equal texts."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def differences(before: Doc | None, after: Doc | None) -> list[FieldChange]:
    """Return the fields that differ, in the order of their names."""
    old, new = before or {}, after or {}
    names = sorted(old.keys() | new.keys())
    changes = [FieldChange(name, old.get(name), new.get(name)) for name in names]
    # As texts: to Python, 1 and True are equal.
    return [change for change in changes if packed(change.before) != packed(change.after)]


def latest(records: Sequence[Record]) -> list[Record]:
    """Return the newest state of each record, in the order in which the records first came."""
    found: dict[tuple[str, str], Record] = {}
    for record in records:
        known = found.get((record.kind, record.id))
        if known is None or known.sequence < record.sequence:
            found[record.kind, record.id] = record
    return list(found.values())
