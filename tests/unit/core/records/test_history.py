"""History holds each version once, also after repeated writes, and keeps only the last versions."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from chalicelib.core.records.history import Changed, History
from chalicelib.core.records.models import FieldChange, Version
from tests.unit.core.records.build import LONG_AGO, NOTE, a_record, a_tombstone
from tests.unit.core.records.conftest import KEPT

KIND = NOTE.name


def _written(history: History, record_id: str = "n-1") -> list[int]:
    return [changed.version.version for changed in history.page(KIND, record_id, 100)]


def test_a_version_is_kept_as_it_was(history: History) -> None:
    history.add([a_record(doc={"title": "é", "n": [1.5, None]})])
    assert history.page(KIND, "n-1", 10) == [
        Changed(
            Version(1, LONG_AGO, "bob", {"title": "é", "n": [1.5, None]}),
            [FieldChange("n", None, [1.5, None]), FieldChange("title", None, "é")],
        )
    ]


def test_page_lists_the_changes_of_each_version_newest_first(history: History) -> None:
    # Given
    history.add([a_record(doc={"title": "A", "n": 1}), a_record(version=2, doc={"title": "B", "n": 1})])
    history.add([a_tombstone(version=3), a_record(version=4, doc={"title": "C"})])
    # When
    page = history.page(KIND, "n-1", 10)
    # Then
    assert [(changed.version.version, changed.version.deleted, changed.changes) for changed in page] == [
        (4, False, [FieldChange("title", None, "C")]),
        (3, True, [FieldChange("n", 1, None), FieldChange("title", "B", None)]),
        (2, False, [FieldChange("title", "A", "B")]),
        (1, False, [FieldChange("n", None, 1), FieldChange("title", None, "A")]),
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 100])
def test_pages_of_any_size_list_each_version_and_its_changes_once(history: History, limit: int) -> None:
    # Given
    history.add([a_record(version=version) for version in range(1, 6)])
    # When
    seen: list[Changed] = []
    while page := history.page(KIND, "n-1", limit, seen[-1].version.version if seen else None):
        assert len(page) <= limit
        seen += page
        assert len(seen) <= 5
    # Then
    assert [changed.version.version for changed in seen] == [5, 4, 3, 2, 1]
    assert [changed.changes[0].before for changed in seen] == ["Title 4", "Title 3", "Title 2", "Title 1", None]


def test_a_page_begins_below_the_version_that_is_given(history: History) -> None:
    history.add([a_record(version=version) for version in range(1, 6)])
    assert [changed.version.version for changed in history.page(KIND, "n-1", 2, 4)] == [3, 2]
    assert history.page(KIND, "n-1", 2, 1) == []


def test_pages_of_large_versions_list_all_of_them(history: History) -> None:
    history.add([a_record(version=version, doc={"title": "x" * 340_000 + str(version)}) for version in range(1, 6)])
    seen: list[int] = []
    while page := history.page(KIND, "n-1", 5, seen[-1] if seen else None):
        seen += [changed.version.version for changed in page]
        assert len(seen) <= 5
    assert seen == [5, 4, 3, 2, 1]


def test_record_never_made_has_no_history(history: History) -> None:
    history.add([a_record("n-2")])
    assert history.page(KIND, "n-1", 10) == []


def test_only_the_last_versions_are_kept(history: History) -> None:
    for version in range(1, 13):
        history.add([a_record(version=version)])
        assert _written(history) == list(range(version, max(0, version - KEPT), -1))


@hypothesis(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(1, 13)),
    cuts=st.lists(st.integers(1, 6), min_size=12, max_size=12),
    again=st.lists(st.integers(0, 11), max_size=3),
)
def test_versions_in_any_order_and_twice_leave_the_last_ones(
    history: History, order: list[int], cuts: list[int], again: list[int]
) -> None:
    # Given a record of this example's own
    record_id = f"n-{order}-{cuts}-{again}"
    states = [a_record(record_id, version) for version in order] + [
        a_record(record_id, order[place]) for place in again
    ]
    # When the states are written in batches of any size, some twice
    for size in cuts:
        history.add(states[:size])
        states = states[size:]
    history.add(states)
    # Then the last versions are there, each unchanged
    page = history.page(KIND, record_id, 100)
    assert [changed.version.version for changed in page][:KEPT] == [12, 11, 10, 9, 8]
    assert all(changed.version.doc == {"title": f"Title {changed.version.version}"} for changed in page)


@pytest.fixture
def sizes(dynamodb: Any) -> Iterator[list[int]]:
    """The number of items that each batch write sends."""
    noted: list[int] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        (requests,) = params["RequestItems"].values()
        noted.append(len(requests))

    dynamodb.meta.events.register("provide-client-params.dynamodb.BatchWriteItem", note)
    yield noted
    dynamodb.meta.events.unregister("provide-client-params.dynamodb.BatchWriteItem", note)


def test_version_beyond_the_kept_number_is_not_written(history: History, sizes: list[int]) -> None:
    """DynamoDB refuses a call that names a key twice."""
    history.add([a_record(version=version) for version in [*range(1, 61), 60]])
    assert _written(history) == [60, 59, 58, 57, 56]
    assert sizes == [25, 25, 10]


def test_has_returns_the_stored_versions_by_key_and_number(history: History) -> None:
    history.add([a_record(version=2), a_record("n-2", 1)])
    asked = [(a_record(), 1), (a_record(), 2), (a_record("n-2"), 1), (a_record("n-3"), 1)]
    assert history.has(asked) == {("note#n-1", 2), ("note#n-2", 1)}


def test_unknown_version_is_stored_as_lost(history: History) -> None:
    history.add([a_record(version=1), a_record(version=3)])
    history.add_lost(a_record(version=3), 2)
    lost = history.page(KIND, "n-1", 10)[1]
    assert lost == Changed(Version(2, LONG_AGO, "", None, lost=True), [])


def test_known_version_is_not_replaced_by_lost(history: History) -> None:
    history.add([a_record(version=2)])
    before = history.page(KIND, "n-1", 10)
    history.add_lost(a_record(version=3), 2)
    assert history.page(KIND, "n-1", 10) == before


def test_lost_version_is_replaced_when_it_arrives(history: History) -> None:
    history.add_lost(a_record(version=2), 1)
    history.add([a_record(version=1)])
    (found,) = history.page(KIND, "n-1", 10)
    assert (found.version.lost, found.version.doc) == (False, {"title": "Title 1"})


def test_changes_are_compared_with_the_last_known_version(history: History) -> None:
    history.add([a_record(version=1, doc={"title": "A", "n": 1}), a_record(version=4, doc={"title": "B", "n": 1})])
    for version in (2, 3):
        history.add_lost(a_record(version=4), version)
    assert [changed.changes for changed in history.page(KIND, "n-1", 10)][:3] == [
        [FieldChange("title", "A", "B")],
        [],
        [],
    ]


def test_repeated_states_are_written_once_25_per_call(history: History, sizes: list[int]) -> None:
    states = [a_record(f"n-{number}") for number in range(60)]
    history.add(states + states)
    assert sizes == [25, 25, 10]
