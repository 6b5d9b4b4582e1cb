"""Records past the API: system of record, view and history, and the functions between."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.applications.search import KIND as APPLICATIONS
from chalicelib.core.records.codec import record_of
from chalicelib.core.records.history import History
from chalicelib.core.records.models import Change, Record, Version, key
from chalicelib.core.records.store import Records
from chalicelib.core.records.view import collection_of
from chalicelib.core.runtime import ids
from chalicelib.core.stores.attributes import to_attributes
from chalicelib.core.stores.sorted import SortedTable
from infra.local.stack import Stack
from tests.support.stack import STAGE
from tests.support.waiting import eventually

KIND = APPLICATIONS.name
DOC = {
    "applicantName": "Ann",
    "email": "ann@example.org",
    "amountMinor": 1_000_000,
    "currency": "EUR",
    "termMonths": 1,
    "incomeMinor": 300_000,
    "status": "draft",
}
#: Stream records of a created, an updated, a deleted and a DynamoDB-removed record.
RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "events/records-stream.json").read_text())[
    "Records"
]
#: Members of a live copy beside its version.
_SHOWN = ("doc", "keys", "createdAt", "updatedAt", "updatedBy", "live")


class TrackedRecords:
    """Applications in records, view and history. Writes here skip eager projection: only the stream projects them."""

    def __init__(self, stack: Stack, database: Database[dict[str, Any]]) -> None:
        self.table = _table(stack, "records")
        self.records = Records(self.table, show=lambda _: None)
        self.history = History(_table(stack, "history"), kept=1_000)
        self.copies = database[collection_of(KIND)]

    def make(self, record_id: str = "", doc: Mapping[str, Any] = DOC) -> str:
        """Commit a record and return its id."""
        record_id = record_id or ids.new_id()
        self.records.create(KIND, record_id, dict(doc), by="ann", operation=ids.new_id())
        return record_id

    def change(self, *record_ids: str) -> None:
        """Commit the next version of each record, with the version's number as ``termMonths``."""
        found = [record_of(item) for item in self.records.batch_get([key(KIND, record_id) for record_id in record_ids])]
        changes = [Change(record.id, record.version, {"termMonths": record.version + 1}) for record in found]
        outcomes = self.records.commit_all(KIND, changes, by="bob", operation=ids.new_id())
        assert all(isinstance(outcome, Record) for outcome in outcomes)

    def annotate(self, record_id: str, **fields: Any) -> Record:
        """Commit an annotation, as a worker does."""
        return self.records.annotate(KIND, record_id, fields, operation=ids.new_id())

    def remove(self, record_id: str) -> Record:
        """Commit the deletion of a record."""
        return self.records.remove(KIND, record_id, None, by="bob", operation=ids.new_id())

    def version(self, record_id: str) -> int:
        """Return the committed version, 0 for a missing record."""
        record = self.records.get_including_deleted(KIND, record_id)
        return record.version if record else 0

    def image(self, record_id: str) -> dict[str, Any]:
        """Return the stored item in DynamoDB's types."""
        return to_attributes(self.table.get(key(KIND, record_id)) or {})

    def read_copy(self, record_id: str) -> dict[str, Any]:
        """Return the copy, or an empty copy of version 0."""
        return self.copies.find_one({"_id": record_id}) or {"version": 0}

    def versions(self, record_id: str) -> list[Version]:
        """Return the history, oldest first."""
        return [changed.version for changed in self.history.page(KIND, record_id, 1_000)][::-1]

    def ids_behind(self, record_ids: Sequence[str]) -> tuple[set[str], set[str]]:
        """Return the ids whose copy lacks the committed version, and the ids whose history lacks it."""
        found = [record_of(item) for item in self.records.batch_get([key(KIND, record_id) for record_id in record_ids])]
        written = self.history.has([(record, record.version) for record in found])
        copies = self.copies.find({"_id": {"$in": list(record_ids)}}, {"version": 1})
        shown = {copy["_id"]: copy["version"] for copy in copies}
        return (
            {record.id for record in found if record.version != shown.get(record.id)},
            {record.id for record in found if (key(KIND, record.id), record.version) not in written},
        )

    def differences(self, record_ids: Sequence[str]) -> list[str]:
        """List the differences of view and history from the system of record."""
        copies = {copy["_id"]: copy for copy in self.copies.find({"_id": {"$in": list(record_ids)}})}
        return [why for record_id in record_ids for why in self._differences(record_id, copies.get(record_id, {}))]

    def wait_until_projected(self, record_ids: Sequence[str], deadline_seconds: float = 60) -> None:
        """Wait until view and history equal the system of record; fail with the differences."""

        def no_differences() -> bool:
            differences = self.differences(record_ids)
            assert not differences, f"{len(differences)} in all: {'; '.join(differences[:10])}"
            return True

        eventually(no_differences, deadline_seconds, every_seconds=0.1, retry=AssertionError)

    def _differences(self, record_id: str, copy: Mapping[str, Any]) -> Iterator[str]:
        record = self.records.get_including_deleted(KIND, record_id)
        if record is None:
            yield f"{record_id} is nowhere"
            return
        if {name: copy.get(name) for name in ("version", *_SHOWN)} != _copy(record):
            yield f"{record_id} is at version {record.version}, its copy at {copy.get('version')}"
        elif copy.get("annotations", {}) != record.annotations:
            yield f"{record_id} has other annotations than its copy"
        versions = self.versions(record_id)
        numbers = [version.version for version in versions if not version.lost]
        if numbers != list(range(1, record.version + 1)):
            missing = sorted(set(range(1, record.version + 1)) - set(numbers))
            yield f"{record_id} is at version {record.version}, its history has {len(numbers)} and lacks {missing[:5]}"
        elif versions[-1].doc != (None if record.deleted else record.doc):
            yield f"{record_id} has something else in its history"


@pytest.fixture
def tracked(stack: Stack, database: Database[dict[str, Any]]) -> TrackedRecords:
    """The records of the deployed stack."""
    return TrackedRecords(stack, database)


@contextmanager
def paused(stack: Stack, function: str) -> Iterator[None]:
    """Pause the event source of *function*; stream records and messages wait until the block ends."""
    functions, name = stack.client("lambda"), f"holdfast-{STAGE}-{function}"
    (mapping,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def stream_record(
    recorded: dict[str, Any], new: dict[str, Any] | None, old: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return *recorded* with the images *new* and *old*."""
    kept = {name: value for name, value in recorded["dynamodb"].items() if not name.endswith("Image")}
    images = {name: image for name, image in (("NewImage", new), ("OldImage", old)) if image}
    return {**recorded, "dynamodb": {**kept, **images, "Keys": {"pk": (new or old or {})["pk"]}}}


def project(stack: Stack, batch: Sequence[dict[str, Any]]) -> None:
    """Invoke the projector with *batch*, like the stream."""
    payload = json.dumps({"Records": batch})
    answer = stack.client("lambda").invoke(FunctionName=f"holdfast-{STAGE}-project", Payload=payload)
    assert "FunctionError" not in answer, answer["Payload"].read()


def _table(stack: Stack, name: str) -> SortedTable:
    return SortedTable(stack.client("dynamodb"), f"holdfast-{STAGE}-{name}")


def _copy(record: Record) -> dict[str, Any]:
    """Return the expected copy of *record*; a tombstone holds the version alone."""
    if record.deleted:
        return {"version": record.version, **dict.fromkeys(_SHOWN)}
    shown = (record.doc, APPLICATIONS.keys(record), record.created_at, record.updated_at, record.updated_by, True)
    return {"version": record.version, **dict(zip(_SHOWN, shown, strict=True))}
