"""The time of a version is never before that of the version before, whatever the clock of its process."""

from collections.abc import Callable

import pytest

from chalicelib.core.records.errors import VersionConflict
from chalicelib.core.records.models import Record
from chalicelib.core.records.store import Records
from chalicelib.core.runtime import clock
from chalicelib.core.stores import clients
from chalicelib.core.stores.dynamodb import Table
from tests.unit.core.records.build import NOTE, changed, made, removed

EARLY, LATE = "2026-11-26T12:00:00.000Z", "2026-11-26T12:05:00.000Z"
Edit = Callable[[Records], Record]


def _prepared(records: Records) -> Record:
    made_ = records.prepare(records.get(NOTE.name, "n-1"), {"title": "2"}, by="bob", operation="edit")
    clients.table("records").transact([made_.write])
    return made_.record


def _repeated(records: Records) -> Record:
    changed(records, None, {"title": "2"}, operation="edit")
    return changed(records, None, {"title": "2"}, operation="edit")


EDITS: dict[str, Edit] = {
    "of a version": lambda records: changed(records, 1, {"title": "2"}, operation="edit"),
    "of any version": lambda records: changed(records, None, {"title": "2"}, operation="edit"),
    "of any version, repeated": _repeated,
    "in a transaction": _prepared,
    "a deletion": lambda records: removed(records, 1, "edit"),
}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that sets the clock of this process."""
    return lambda stamp: monkeypatch.setattr(clock, "stamp", lambda: stamp)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_edit_by_a_clock_behind_has_the_time_of_the_version_before(
    records: Records, at: Callable[[str], None], edit: Edit
) -> None:
    at(LATE)
    made(records)
    at(EARLY)
    edited = edit(records)
    assert (edited.version, edited.updated_at, edited.created_at) == (2, LATE, LATE)
    assert records.get_including_deleted(NOTE.name, "n-1") == edited


def test_record_made_over_a_later_tombstone_has_the_time_of_the_tombstone(
    records: Records, at: Callable[[str], None]
) -> None:
    at(LATE)
    made(records)
    removed(records, 1, "remove")
    at(EARLY)
    again = made(records, operation="make again")
    assert (again.version, again.created_at, again.updated_at) == (3, LATE, LATE)
    assert made(records, operation="make again") == again


def test_edit_by_a_right_clock_has_its_own_time(records: Records, at: Callable[[str], None]) -> None:
    at(EARLY)
    made(records)
    at(LATE)
    edited = changed(records, 1, {"title": "2"}, operation="edit")
    assert (edited.created_at, edited.updated_at) == (EARLY, LATE)


def test_conflict_by_a_clock_behind_costs_one_write(
    records: Records, at: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    at(LATE)
    made(records)
    changed(records, 1, {"title": "2"}, operation="edit")
    at(EARLY)
    writes: list[str] = []
    update = Table.update

    def counted(*given: object, **named: object) -> object:
        writes.append("update")
        return update(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Table, "update", counted)
    with pytest.raises(VersionConflict):
        changed(records, 1, {"title": "3"}, operation="another")
    assert len(writes) == 1
