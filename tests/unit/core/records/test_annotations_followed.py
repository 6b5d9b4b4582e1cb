"""Annotations of workers: in the view, through the projector, by repair and reconciliation."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from pymongo.collection import Collection

from chalicelib.core.records import reconcile
from chalicelib.core.records.history import History
from chalicelib.core.records.models import Record
from chalicelib.core.records.project import Projector, Repair
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.records.reconcile import PassResult
from chalicelib.core.records.store import Records
from chalicelib.core.records.view import View
from chalicelib.core.stores import clients
from tests.unit.core.records.build import (
    NOTE,
    a_record,
    a_tombstone,
    item_of,
    put,
    streamed,
    take_messages,
)
from tests.unit.core.records.conftest import take_events

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
    """Return the stream records of a record's life."""
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
    assert sorted(event.record_version for event in take_events()) == [1, 2, 3, 4]
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
    assert [event.record_version for event in take_events()] == [1, 2]


def test_an_item_written_by_hand_at_the_same_version_is_published(projector: Projector, history: History) -> None:
    """Only an annotation is no version: a write that raised neither count is projected in full."""
    projector.project([streamed(item_of(a_record(doc={"title": "by hand"})), old=item_of(a_record()))])
    assert [event.record_version for event in take_events()] == [1]
    assert len(history.page(KIND, "n-1", 10)) == 1


UNSHOWABLE = a_record(annotations={"score": 2**64}, revision=7)


def test_each_annotation_that_cannot_be_shown_has_its_own_repair(projector: Projector, history: History) -> None:
    worse = replace(UNSHOWABLE, revision=8)
    first = streamed(item_of(UNSHOWABLE), old=item_of(a_record()))
    second = streamed(item_of(worse), old=item_of(UNSHOWABLE))
    assert [projector.project([change]) for change in (first, second)] == [1, 1]
    repairs = [Repair.model_validate_json(body) for body in take_messages(REPAIR)]
    assert [repair.work_id for repair in repairs] == ["note/n-1@0/revision 7", "note/n-1@0/revision 8"]
    assert (take_events(), history.page(KIND, "n-1", 10)) == ([], [])


def test_an_annotation_that_cannot_be_read_goes_to_repair(projector: Projector) -> None:
    broken = item_of(UNSHOWABLE) | {"annotations": {"score": "no JSON"}}
    assert projector.project([streamed(broken, old=item_of(a_record()))]) == 1
    (body,) = take_messages(REPAIR)
    assert Repair.model_validate_json(body).work_id == "note/n-1@0/revision 7"


# --- repair and reconcile

NOTED = a_record(version=2, annotations={"score": 1}, revision=3)


def test_a_repaired_annotation_is_shown_and_nothing_is_published(
    wired: Projector, history: History, copies: Copies
) -> None:
    history.add([put(NOTED)])
    reconcile.repair(KIND, "n-1", 0)
    assert _copy(copies)["annotations"] == {"score": 1}
    assert take_events() == []


def test_a_repaired_annotation_of_an_unpublished_version_publishes_it(wired: Projector, history: History) -> None:
    put(NOTED)
    reconcile.repair(KIND, "n-1", 0)
    assert [event.record_version for event in take_events()] == [2]
    assert len(history.page(KIND, "n-1", 10)) == 1


def test_reconcile_shows_an_annotation_that_the_view_lacks(wired: Projector, history: History, copies: Copies) -> None:
    # Given a copy that an earlier release wrote
    wired.project([streamed(item_of(a_record(version=version))) for version in (1, 2)])
    take_events()
    put(NOTED)
    # When
    assert reconcile.step().repaired == 1
    # Then
    assert _copy(copies)["annotations"] == {"score": 1}
    assert take_events() == []
    assert reconcile.step().repaired == 0


def test_reconcile_forgets_an_annotated_copy_without_a_record(wired: Projector, view: View, copies: Copies) -> None:
    view.apply([NOTED])
    assert reconcile.step() == PassResult(compared=1, repaired=1, finished=True)
    assert copies.count_documents({}) == 0


def test_a_forgotten_tombstone_of_an_annotated_record_is_not_missing(wired: Projector, copies: Copies) -> None:
    gone = a_tombstone(version=2, revision=3)
    wired.project([streamed(item_of(state)) for state in (a_record(), put(gone))])
    copies.delete_many({})
    assert reconcile.step().repaired == 0


def test_a_lost_version_before_an_annotation_is_published_once(wired: Projector, history: History) -> None:
    wired.project([streamed(item_of(a_record(version=1)))])
    put(a_record(version=3, annotations={"score": 1}, revision=4))
    assert [reconcile.step().repaired for _ in range(2)] == [2, 0]
    assert sorted(event.record_version for event in take_events()) == [1, 2, 3]
    assert [found.version.lost for found in history.page(KIND, "n-1", 10)] == [False, True, False]
