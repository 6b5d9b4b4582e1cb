"""Annotations: what workers add beside a document, without raising the version that a user holds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from pymongo.collection import Collection

from chalicelib.core.records import reconcile
from chalicelib.core.records.errors import NotInThisState, RecordNotFound, RecordTooLarge
from chalicelib.core.records.history import History
from chalicelib.core.records.models import Record
from chalicelib.core.records.project import Projector, Repair
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.records.reconcile import Found
from chalicelib.core.records.store import Records
from chalicelib.core.records.view import View
from chalicelib.core.runtime import logs
from chalicelib.core.stores import clients
from tests.support.concurrency import race
from tests.unit.core.records.build import (
    NOTE,
    TOO_MANY,
    a_record,
    a_tombstone,
    annotated,
    changed,
    item_of,
    letters,
    made,
    put,
    removed,
    streamed,
)
from tests.unit.core.records.conftest import told

Copies = Collection[dict[str, Any]]
KIND = NOTE.name


@pytest.fixture
def eager(dynamodb: Any, view: View) -> Records:
    """Records whose writes are applied to the view, and fail where that fails."""

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
    # Together with what is there; moto refuses that, and writes it all the same.
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


# --- the view


def test_a_copy_holds_annotations_beside_the_document(view: View, copies: Copies) -> None:
    annotations = {"$set": 1, "a.b": [{"$where": "1"}, None]}
    assert view.apply([a_record(version=2, annotations=annotations, revision=3)]) == []
    copy = _copy(copies)
    assert (copy["version"], copy["sequence"]) == (2, 5)
    assert (copy["doc"], copy["annotations"]) == ({"title": "Title 2"}, annotations)


def test_a_copy_of_an_earlier_release_is_replaced_by_an_annotation(view: View, copies: Copies) -> None:
    view.apply([a_record(version=3)])
    assert "sequence" not in _copy(copies)
    noted = a_record(version=3, annotations={"score": 1}, revision=1)
    assert view.stale([a_record(version=3), noted]) == [noted]
    view.apply([noted])
    assert _copy(copies)["annotations"] == {"score": 1}
    assert view.stale([noted]) == []


LIFE = [
    a_record(version=1),
    a_record(version=1, annotations={"score": 1}, revision=1),
    a_record(version=2, annotations={"score": 1}, revision=1),
    a_record(version=2, annotations={"score": 2}, revision=2),
    a_tombstone(version=3, revision=2),
    a_record(version=4, revision=2, operation="anew", made="anew"),
    a_record(version=4, annotations={"text": "read"}, revision=3, operation="anew", made="anew"),
]


@hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(st.sampled_from(LIFE), max_size=4), max_size=6))
def test_a_copy_never_steps_back_whatever_the_order(view: View, copies: Copies, batches: list[list[Record]]) -> None:
    copies.delete_many({})
    newest: Record | None = None
    for batch in batches:
        assert view.apply(batch) == []
        newest = max([*([newest] if newest else []), *batch], key=lambda state: state.sequence, default=None)
        copy = _copy(copies)
        assert copy.get("version", 0) == (newest.version if newest else 0)
        assert copy.get("annotations", {}) == (newest.annotations if newest else {})
        assert view.sequences(KIND, ["n-1"]) == ({"n-1": newest.sequence} if newest else {})


# --- the projector


def _stream(states: list[Record]) -> list[dict[str, Any]]:
    """Return what the stream says of a record's life."""
    olds = [None, *(item_of(state) for state in states[:-1])]
    return [streamed(item_of(state), old=old) for state, old in zip(states, olds, strict=True)]


@hypothesis(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(LIFE))), cut=st.integers(0, len(LIFE)))
def test_annotations_reach_the_view_and_publish_no_version_twice(
    projector: Projector, copies: Copies, history: History, *, order: list[int], cut: int
) -> None:
    # Given
    record_id = f"n-{order}-{cut}"
    batch = _stream([replace(state, id=record_id) for state in LIFE])
    changes = [batch[place] for place in order]
    # When
    assert [projector.project(changes[:cut]), projector.project(changes[cut:])] == [0, 0]
    # Then
    assert _copy(copies, record_id)["annotations"] == {"text": "read"}
    assert sorted(event.record_version for event in told()) == [1, 2, 3, 4]
    page = history.page(KIND, record_id, 10)
    assert [found.version.version for found in page] == [4, 3, 2, 1]
    assert [found.version.doc for found in page] == [
        {"title": "Title 4"},
        None,
        {"title": "Title 2"},
        {"title": "Title 1"},
    ]


def test_an_annotation_between_two_versions_of_one_batch_is_kept(projector: Projector, copies: Copies) -> None:
    projector.project(_stream(LIFE[:3]))
    assert (_copy(copies)["version"], _copy(copies)["annotations"]) == (2, {"score": 1})
    assert [event.record_version for event in told()] == [1, 2]


def test_an_item_written_by_hand_at_the_same_version_is_published(projector: Projector, history: History) -> None:
    """Only an annotation is no version: a write that raised neither count is projected in full."""
    projector.project([streamed(item_of(a_record(doc={"title": "by hand"})), old=item_of(a_record()))])
    assert [event.record_version for event in told()] == [1]
    assert len(history.page(KIND, "n-1", 10)) == 1


UNSHOWABLE = a_record(annotations={"score": 2**64}, revision=7)


def test_each_annotation_that_cannot_be_shown_has_its_own_repair(projector: Projector, history: History) -> None:
    worse = replace(UNSHOWABLE, revision=8)
    first = streamed(item_of(UNSHOWABLE), old=item_of(a_record()))
    second = streamed(item_of(worse), old=item_of(UNSHOWABLE))
    assert [projector.project([change]) for change in (first, second)] == [1, 1]
    repairs = [Repair.model_validate_json(body) for body in letters(REPAIR)]
    assert [repair.work_id for repair in repairs] == ["note/n-1@0/revision 7", "note/n-1@0/revision 8"]
    assert (told(), history.page(KIND, "n-1", 10)) == ([], [])


def test_an_annotation_that_cannot_be_read_goes_to_repair(projector: Projector) -> None:
    broken = item_of(UNSHOWABLE) | {"annotations": {"score": "no JSON"}}
    assert projector.project([streamed(broken, old=item_of(a_record()))]) == 1
    (body,) = letters(REPAIR)
    assert Repair.model_validate_json(body).work_id == "note/n-1@0/revision 7"


# --- repair and reconcile

NOTED = a_record(version=2, annotations={"score": 1}, revision=3)


def test_a_repaired_annotation_is_shown_and_nothing_is_published(
    wired: Projector, history: History, copies: Copies
) -> None:
    history.add([put(NOTED)])
    reconcile.mend(KIND, "n-1", 0)
    assert _copy(copies)["annotations"] == {"score": 1}
    assert told() == []


def test_a_repaired_annotation_of_an_unpublished_version_publishes_it(wired: Projector, history: History) -> None:
    put(NOTED)
    reconcile.mend(KIND, "n-1", 0)
    assert [event.record_version for event in told()] == [2]
    assert len(history.page(KIND, "n-1", 10)) == 1


def test_reconcile_shows_an_annotation_that_the_view_lacks(wired: Projector, history: History, copies: Copies) -> None:
    # Given a copy that an earlier release wrote
    wired.project([streamed(item_of(a_record(version=version))) for version in (1, 2)])
    told()
    put(NOTED)
    # When
    assert reconcile.step().mended == 1
    # Then
    assert _copy(copies)["annotations"] == {"score": 1}
    assert told() == []
    assert reconcile.step().mended == 0


def test_reconcile_forgets_an_annotated_copy_without_a_record(wired: Projector, view: View, copies: Copies) -> None:
    view.apply([NOTED])
    assert reconcile.step() == Found(compared=1, mended=1, finished=True)
    assert copies.count_documents({}) == 0


def test_a_forgotten_tombstone_of_an_annotated_record_is_not_missing(wired: Projector, copies: Copies) -> None:
    gone = a_tombstone(version=2, revision=3)
    wired.project([streamed(item_of(state)) for state in (a_record(), put(gone))])
    copies.delete_many({})
    assert reconcile.step().mended == 0


def test_a_lost_version_before_an_annotation_is_published_once(wired: Projector, history: History) -> None:
    wired.project([streamed(item_of(a_record(version=1)))])
    put(a_record(version=3, annotations={"score": 1}, revision=4))
    assert [reconcile.step().mended for _ in range(2)] == [2, 0]
    assert sorted(event.record_version for event in told()) == [1, 2, 3]
    assert [found.version.lost for found in history.page(KIND, "n-1", 10)] == [False, True, False]
