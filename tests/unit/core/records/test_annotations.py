"""Annotations: fields that workers add beside a document, without raising its version."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pymongo.collection import Collection

from chalicelib.core.records.errors import NotInThisState, RecordNotFound, RecordTooLarge
from chalicelib.core.records.models import Record
from chalicelib.core.records.store import Records
from chalicelib.core.records.view import View
from chalicelib.core.runtime import logs
from chalicelib.core.stores import clients
from tests.support.concurrency import race
from tests.unit.core.records.build import (
    NOTE,
    TOO_MANY,
    a_record,
    annotated,
    changed,
    made,
    put,
    removed,
)

Copies = Collection[dict[str, Any]]
KIND = NOTE.name


@pytest.fixture
def eager(dynamodb: Any, view: View) -> Records:
    """Records that project each write at once; a failed projection fails the write."""

    def show(states: Sequence[Record]) -> None:
        assert view.apply(states) == []

    return Records(clients.table("records"), show)


def _copy(copies: Copies, record_id: str = "n-1") -> dict[str, Any]:
    return copies.find_one({"_id": record_id}) or {}


# --- the store


def test_an_annotation_changes_nothing_but_the_annotations(records: Records, shown: list[Record]) -> None:
    first = made(records)
    found = annotated(records, {"text": "é", "$a.b": [1, None]}, operation="read")
    assert found == replace(first, annotations={"text": "é", "$a.b": [1, None]}, revision=1)
    assert records.get(KIND, "n-1") == found == shown[-1]
    assert found.created


def test_annotations_are_set_field_by_field(records: Records) -> None:
    made(records)
    annotated(records, {"text": "read", "score": 1}, operation="read")
    found = annotated(records, {"score": 2}, operation="score")
    assert (found.annotations, found.revision, found.version) == ({"text": "read", "score": 2}, 2, 1)


def test_an_annotation_costs_one_round_trip(records: Records) -> None:
    made(records)
    with logs.invocation("test") as line:
        annotated(records, {"score": 1}, operation="score")
    assert line.round_trips == 1


def test_an_edit_keeps_the_annotations(records: Records) -> None:
    made(records)
    annotated(records, {"score": 1}, operation="score")
    found = changed(records, 1, {"title": "Second"}, operation="change")
    assert (found.version, found.revision, found.annotations) == (2, 1, {"score": 1})


def test_an_edit_of_the_version_read_succeeds_among_annotations(eager: Records, copies: Copies) -> None:
    made(eager)
    workers = [lambda n=n: annotated(eager, {f"field-{n}": n}, operation=f"read-{n}") for n in range(50)]
    outcomes = race([*workers, lambda: changed(eager, 1, {"title": "Second"}, operation="change")])
    assert all(isinstance(outcome, Record) for outcome in outcomes)
    found = eager.get(KIND, "n-1")
    assert (found.version, found.doc) == (2, {"title": "Second"})
    assert found.annotations == _copy(copies)["annotations"] == {f"field-{n}": n for n in range(50)}


def test_a_hundred_edits_and_a_hundred_annotations_are_all_kept(eager: Records, copies: Copies) -> None:
    # Given
    made(eager)
    edits = [lambda n=n: changed(eager, None, {f"edit-{n}": n}, operation=f"change-{n}") for n in range(100)]
    workers = [lambda n=n: annotated(eager, {f"field-{n}": n}, operation=f"read-{n}") for n in range(100)]
    # When
    outcomes = race([*edits, *workers])
    # Then
    assert all(isinstance(outcome, Record) for outcome in outcomes)
    found = eager.get(KIND, "n-1")
    assert (found.version, found.revision, found.sequence) == (101, 100, 201)
    assert found.doc == {"title": "First"} | {f"edit-{n}": n for n in range(100)}
    assert found.annotations == {f"field-{n}": n for n in range(100)}
    sequences = [outcome.sequence for outcome in outcomes if isinstance(outcome, Record)]
    assert sorted(sequences) == list(range(2, 202))
    copy = _copy(copies)
    assert (copy["version"], copy["sequence"]) == (101, 201)
    assert (copy["doc"], copy["annotations"]) == (found.doc, found.annotations)


def test_a_repeated_annotation_is_recognised(records: Records, shown: list[Record]) -> None:
    made(records)
    first, again = (annotated(records, {"score": 1}, operation="score") for _ in range(2))
    assert first == again == records.get(KIND, "n-1")
    assert shown[-2:] == [first, first]


def test_an_annotation_repeated_after_an_edit_is_recognised(records: Records) -> None:
    made(records)
    annotated(records, {"score": 1}, operation="score")
    second = changed(records, 1, {"title": "Second"}, operation="change")
    assert annotated(records, {"score": 1}, operation="score") == second


def test_an_edit_repeated_after_an_annotation_is_recognised(records: Records) -> None:
    made(records)
    changed(records, None, {"title": "Second"}, operation="change")
    found = annotated(records, {"score": 1}, operation="score")
    assert changed(records, None, {"title": "Second"}, operation="change") == found
    assert made(records) == found


def test_a_missing_or_deleted_record_is_not_annotated(records: Records) -> None:
    with pytest.raises(RecordNotFound):
        annotated(records, {"score": 1}, operation="score")
    assert records.get_including_deleted(KIND, "n-1") is None
    made(records)
    gone = removed(records, 1, "remove")
    with pytest.raises(RecordNotFound):
        annotated(records, {"score": 1}, operation="score")
    assert records.get_including_deleted(KIND, "n-1") == gone


@pytest.mark.parametrize("earlier", [False, True], ids=["of this release", "of an earlier one"])
def test_an_annotation_demands_a_state_of_the_document(records: Records, earlier: bool) -> None:
    first = put(a_record(doc={"file": "f-1"})) if earlier else made(records, file="f-1")
    for file in ("f-2", ["f-1"]):
        with pytest.raises(NotInThisState) as refused:
            records.annotate(KIND, "n-1", {"text": "read"}, operation="read", where=[{"file": [file]}])
        assert refused.value.current == first == records.get(KIND, "n-1")
    found = records.annotate(KIND, "n-1", {"text": "read"}, operation="read", where=[{"file": ["f-0", "f-1"]}])
    assert found == replace(first, annotations={"text": "read"}, revision=1)


def test_an_annotation_too_large_for_its_item_is_refused(records: Records) -> None:
    first = made(records, title="x" * 300_000)
    with pytest.raises(RecordTooLarge):
        annotated(records, {"text": "x" * TOO_MANY}, operation="read")
    assert records.get(KIND, "n-1") == first
    # The size counts the stored fields too; moto refuses such an update, and writes all the same.
    with pytest.raises(RecordTooLarge):
        annotated(records, {"text": "x" * 120_000}, operation="read")


def test_an_item_of_an_earlier_release_is_annotated(records: Records) -> None:
    old = put(a_record(version=3))
    assert records.get(KIND, "n-1") == old
    found = annotated(records, {"score": 1}, operation="score")
    assert found == replace(old, annotations={"score": 1}, revision=1)
    assert annotated(records, {"score": 1}, operation="score") == found


def test_first_annotations_at_once_of_an_old_item_are_all_kept(records: Records) -> None:
    put(a_record())
    race([lambda n=n: annotated(records, {f"field-{n}": n}, operation=f"read-{n}") for n in range(40)])  # type: ignore[misc]
    found = records.get(KIND, "n-1")
    assert (found.annotations, found.revision) == ({f"field-{n}": n for n in range(40)}, 40)


def test_a_record_created_anew_has_no_annotations_and_keeps_its_revision(records: Records) -> None:
    made(records)
    annotated(records, {"score": 1}, operation="score")
    gone = removed(records, 1, "remove")
    anew = made(records, operation="make anew")
    assert [(state.annotations, state.sequence) for state in (gone, anew)] == [({}, 3), ({}, 4)]
    # And a late copy of the annotation does not reach it
    assert annotated(records, {"score": 1}, operation="score") == anew


def test_a_prepared_write_is_not_refused_because_of_an_annotation(records: Records, view: View, copies: Copies) -> None:
    # Given
    record = made(records)
    view.apply([record])
    prepared = records.prepare(record, {"title": "Second"}, by="bob", operation="change")
    view.apply([annotated(records, {"score": 1}, operation="score")])
    # When
    clients.table("records").transact([prepared.write])
    # Then the view keeps the annotation, and has the edit as soon as the stream brings it
    view.apply([prepared.record])
    assert _copy(copies)["annotations"] == {"score": 1}
    found = records.get(KIND, "n-1")
    view.apply([found])
    copy = _copy(copies)
    assert (copy["version"], copy["doc"], copy["annotations"]) == (2, {"title": "Second"}, {"score": 1})
