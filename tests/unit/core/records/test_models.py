"""States of a record, their names, and their differences."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.records.models import FieldChange, differences, event_id, key, latest, packed
from tests.unit.core.records.build import a_record, a_tombstone

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_a_record_and_each_of_its_versions_have_a_name() -> None:
    assert (key("note", "n-1"), event_id("note", "n-1", 3)) == ("note#n-1", "note/n-1@3")


def test_first_state_of_a_record_counts_as_created() -> None:
    assert a_record(version=1).created
    assert not a_record(version=2).created
    assert a_record(version=5, operation="anew", made="anew").created
    assert not a_tombstone(operation="both", made="both").created


@given(value=JSON)
def test_a_value_comes_back_from_its_text(value: object) -> None:
    assert json.loads(packed(value)) == value


def test_equal_values_have_equal_texts_in_any_order_of_names() -> None:
    assert packed({"b": [1, None], "a": {"d": True, "c": "é"}}) == '{"a":{"c":"é","d":true},"b":[1,null]}'
    assert packed({"a": {"c": "é", "d": True}, "b": [1, None]}) == packed({"b": [1, None], "a": {"d": True, "c": "é"}})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_number_without_a_json_form_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        packed({"a": value})


def test_differences_are_listed_in_order_of_field_names() -> None:
    before = {"went": 1, "stayed": {"a": [1]}, "changed": "old"}
    after = {"stayed": {"a": [1]}, "changed": "new", "came": False}
    assert differences(before, after) == [
        FieldChange("came", None, False),
        FieldChange("changed", "old", "new"),
        FieldChange("went", 1, None),
    ]


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, False), ([1], [True]), ({"a": 0}, {"a": False})], ids=str)
def test_number_differs_from_the_boolean_python_holds_equal(before: object, after: object) -> None:
    assert differences({"a": before}, {"a": after}) == [FieldChange("a", before, after)]
    assert differences({"a": after}, {"a": after}) == []


def test_every_field_of_a_document_differs_from_no_document() -> None:
    assert differences(None, {"a": 1}) == [FieldChange("a", None, 1)]
    assert differences({"a": 1}, None) == [FieldChange("a", 1, None)]
    assert differences(None, None) == []


def test_latest_state_of_each_record_has_its_highest_version() -> None:
    states = [a_record("b", 2), a_record("a", 1), a_record("b", 1), a_record("a", 3), a_record("b", 1, kind="memo")]
    assert [(state.kind, state.id, state.version) for state in latest(states)] == [
        ("note", "b", 2),
        ("note", "a", 3),
        ("memo", "b", 1),
    ]
