"""History: every version of every record, in DynamoDB, written behind the truth by the projector.

An entry is the whole state, so that an event can still be told as it was. What a version has changed is read off the
entry before it.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from chalicelib.core.records.models import Doc, FieldChange, Record, Version, differences, key, packed
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed, Table

_ABSENT = "attribute_not_exists(pk)"
#: Before a record's key: no kind begins with it.
_MARK = "#"


class Changed(NamedTuple):
    """A version, and what differs from the one before it that is known."""

    version: Version
    changes: list[FieldChange]


class History:
    """Versions by record. Of each record the last *kept* are kept."""

    def __init__(self, table: Table, kept: int) -> None:
        self._table, self._kept = table, kept

    def add(self, records: Sequence[Record]) -> None:
        """Write these states, and forget those that are beyond what is kept. Safe to repeat, in any order."""
        entries = {(record.kind, record.id, record.version): _entry(record) for record in records}
        old = {(kind, record_id, version - self._kept) for kind, record_id, version in entries if version > self._kept}
        self._table.write(
            [entry for place, entry in entries.items() if place not in old],
            [{"pk": key(kind, record_id), "version": version} for kind, record_id, version in sorted(old)],
        )

    def add_lost(self, record: Record, version: int) -> None:
        """Say that *version* of the record was, where nothing is known of it. What is known is left alone."""
        entry = {**_key(record, version), "at": record.updated_at, "by": "", "lost": True}
        try:
            self._table.put(entry, when=_ABSENT)
        except ConditionFailed:
            return

    def has(self, versions: Sequence[tuple[Record, int]]) -> set[tuple[str, int]]:
        """Return key and number of those *versions* that are written down."""
        found = self._table.find([_key(record, version) for record, version in versions])
        return {(item["pk"], item["version"]) for item in found}

    def times(self, record: Record, versions: Sequence[int]) -> dict[int, str]:
        """Return of those *versions* of the record that are written down when each came to be."""
        found = self._table.find([_key(record, version) for version in versions])
        return {item["version"]: item["at"] for item in found}

    def complete_up_to(self, records: Sequence[Record]) -> dict[str, int]:
        """Return by key up to which version nothing is missing, as `mark_complete_up_to` was told."""
        found = self._table.find([_mark(record) for record in records])
        return {item["pk"].removeprefix(_MARK): item["whole"] for item in found}

    def mark_complete_up_to(self, record: Record, version: int) -> None:
        """Remember that up to *version* nothing of the record is missing."""
        self._table.write([{**_mark(record), "whole": version}])

    def page(self, kind: str, record_id: str, limit: int, before: int | None = None) -> list[Changed]:
        """Return up to *limit* versions, newest first, those below *before* if it is given.

        Fewer where documents are large: whoever wants the rest asks on from the last.
        """
        items = self._table.newest(key(kind, record_id), "version", below=before, limit=limit + 1)
        versions = [_version(item) for item in items]
        changed = [Changed(new, _changes(new, versions[place:])) for place, new in enumerate(versions, start=1)]
        # The last that was read is shown only if it is the first there is; else it served to compare with.
        if len(changed) > limit or (changed and self._older(kind, record_id, versions[-1].version)):
            changed.pop()
        return changed

    def _older(self, kind: str, record_id: str, version: int) -> bool:
        # A first version has none before it, and nearly every history is read down to that.
        return version > 1 and bool(self._table.newest(key(kind, record_id), "version", below=version, limit=1))


def _key(record: Record, version: int) -> Item:
    return {"pk": key(record.kind, record.id), "version": version}


def _mark(record: Record) -> Item:
    return {"pk": f"{_MARK}{key(record.kind, record.id)}", "version": 0}


def _entry(record: Record) -> Item:
    entry: Item = {**_key(record, record.version), "at": record.updated_at, "by": record.updated_by}
    return entry | ({"deleted": True} if record.deleted else {"doc": packed(record.doc)})


def _version(item: Item) -> Version:
    doc: Doc | None = json.loads(item["doc"]) if "doc" in item else None
    return Version(item["version"], item["at"], item["by"], doc, item.get("deleted", False), item.get("lost", False))


def _changes(new: Version, older: Sequence[Version]) -> list[FieldChange]:
    # To compare with one that is lost would say that everything is new.
    known = next((old for old in older if not old.lost), None)
    return [] if new.lost else differences(known.doc if known else None, new.doc)
