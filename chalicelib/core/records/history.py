"""History: every version of every record, in DynamoDB, written by the projector after the system of record.

An entry holds the whole document. The changes of a version follow from the entry before it. Annotations are no versions
and leave no entry.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from chalicelib.core.records.models import Doc, FieldChange, Record, Version, differences, key, packed
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed
from chalicelib.core.stores.sorted import SortedTable

_ABSENT = "attribute_not_exists(pk)"
#: Prefix of the key of a record's completeness mark; no kind begins with the prefix.
_MARK = "#"


class Changed(NamedTuple):
    """A version, and its differences from the nearest older version with a known document."""

    version: Version
    changes: list[FieldChange]


class History:
    """Versions by record: the last *kept* of each record."""

    def __init__(self, table: SortedTable, kept: int) -> None:
        self._table, self._kept = table, kept

    def add(self, records: Sequence[Record]) -> None:
        """Write the versions of *records* and delete versions too old to be kept. Safe to repeat, in any order."""
        entries = {(record.kind, record.id, record.version): _entry(record) for record in records}
        old = {(kind, record_id, version - self._kept) for kind, record_id, version in entries if version > self._kept}
        self._table.batch_write(
            [entry for place, entry in entries.items() if place not in old],
            [{"pk": key(kind, record_id), "version": version} for kind, record_id, version in sorted(old)],
        )

    def add_lost(self, record: Record, version: int) -> None:
        """Write *version* of the record as lost, unless an entry exists."""
        entry = {**_key(record, version), "at": record.updated_at, "by": "", "lost": True}
        try:
            self._table.put(entry, when=_ABSENT)
        except ConditionFailed:
            return

    def has(self, versions: Sequence[tuple[Record, int]]) -> set[tuple[str, int]]:
        """Return key and number of the *versions* that have an entry."""
        found = self._table.batch_get_keys([_key(record, version) for record, version in versions])
        return {(item["pk"], item["version"]) for item in found}

    def times(self, record: Record, versions: Sequence[int]) -> dict[int, str]:
        """Return the commit time of each of the record's *versions* that has an entry."""
        found = self._table.batch_get_keys([_key(record, version) for version in versions])
        return {item["version"]: item["at"] for item in found}

    def complete_up_to(self, records: Sequence[Record]) -> dict[str, int]:
        """Return by key the version up to which history is complete, as `mark_complete_up_to` stored it."""
        found = self._table.batch_get_keys([_mark(record) for record in records])
        return {item["pk"].removeprefix(_MARK): item["whole"] for item in found}

    def mark_complete_up_to(self, record: Record, version: int) -> None:
        """Store that the record's history is complete up to *version*."""
        self._table.batch_write([{**_mark(record), "whole": version}])

    def read(self, versions: Sequence[tuple[str, str, int]]) -> dict[tuple[str, str, int], Version]:
        """Return those of *versions* (kind, id and number) that have an entry. One round trip for a hundred."""
        places = {(key(kind, record_id), version): (kind, record_id, version) for kind, record_id, version in versions}
        found = self._table.batch_get_keys([{"pk": pk, "version": version} for pk, version in places])
        return {places[item["pk"], item["version"]]: _version(item) for item in found}

    def page(self, kind: str, record_id: str, limit: int, before: int | None = None) -> list[Changed]:
        """Return up to *limit* versions, newest first; with *before*, only lower versions.

        Fewer if documents are large: the caller continues from the last version returned.
        """
        items = self._table.newest(key(kind, record_id), "version", below=before, limit=limit + 1)
        versions = [_version(item) for item in items]
        changed = [Changed(new, _changes(new, versions[place:])) for place, new in enumerate(versions, start=1)]
        # The oldest version read serves for comparison only, unless no older version exists.
        if len(changed) > limit or (changed and self._older(kind, record_id, versions[-1].version)):
            changed.pop()
        return changed

    def _older(self, kind: str, record_id: str, version: int) -> bool:
        # Saves the query for most histories, which are read down to version 1.
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
    # Compared with a lost version, every field would look new.
    known = next((old for old in older if not old.lost), None)
    return [] if new.lost else differences(known.doc if known else None, new.doc)
