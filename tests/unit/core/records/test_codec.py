"""A record survives the way through its item; a malformed item is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.records.codec import Update, fields_of, record_of
from chalicelib.core.records.errors import RecordTooLarge
from chalicelib.core.records.models import Doc
from chalicelib.core.stores.attributes import from_attributes, to_attributes
from tests.unit.core.records.build import TOO_MANY, a_record, a_tombstone, item_of
from tests.unit.core.records.test_models import JSON


@given(doc=st.dictionaries(st.text(), JSON, max_size=4))
def test_a_record_comes_back_from_its_item(doc: Doc) -> None:
    record = a_record("n#1", 7, doc=doc)
    assert record_of(from_attributes(to_attributes(item_of(record)))) == record


def test_a_tombstone_comes_back_from_its_item() -> None:
    assert record_of(item_of(a_tombstone())) == a_tombstone()


@pytest.mark.parametrize("left_out", sorted(item_of(a_record())))
def test_an_item_without_one_of_its_attributes_is_no_record(left_out: str) -> None:
    item = item_of(a_record())
    del item[left_out]
    with pytest.raises(KeyError, match=left_out):
        record_of(item)


@pytest.mark.parametrize(
    "odd",
    [
        {"version": "1"},
        {"version": True},
        {"operation": 1},
        {"made": None},
        {"updatedAt": 1_700_000_000},
        {"updatedBy": ["bob"]},
        {"doc": {"title": "no JSON"}},
        {"doc": {"title": 1}},
        {"doc": "text"},
        {"deleted": "yes"},
    ],
    ids=str,
)
def test_item_with_an_attribute_of_the_wrong_type_is_no_record(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"where it must be|is none|Expecting value"):
        record_of(item_of(a_record()) | odd)


def test_a_document_of_350_kb_is_the_largest() -> None:
    # A name, and its value's quotes, count as well.
    assert fields_of({"ab": "x" * (TOO_MANY - 4)})
    with pytest.raises(RecordTooLarge):
        fields_of({"ab": "x" * (TOO_MANY - 3)})


def test_document_size_is_measured_in_bytes() -> None:
    with pytest.raises(RecordTooLarge):
        fields_of({"a": "é" * (TOO_MANY // 2)})
    with pytest.raises(RecordTooLarge):
        fields_of({"é" * (TOO_MANY // 2): None})


def test_empty_change_demands_only_a_live_record() -> None:
    update = Update({}, None, ())
    assert (update.sets, update.names, update.values) == ([], {}, {})
    assert update.when == "attribute_exists(pk) AND attribute_not_exists(deleted)"


def test_a_condition_names_every_state_and_every_value_once() -> None:
    update = Update({"a": 1}, 7, [{"s": ["x", "y"]}, {"s": ["z"], "t": [None]}])
    assert update.when.endswith("version = :v1 AND (doc.#f1 IN (:v2, :v3) OR doc.#f2 IN (:v4) AND doc.#f3 IN (:v5))")
    assert update.names == {"#f0": "a", "#f1": "s", "#f2": "s", "#f3": "t"}
    assert update.values == {":v0": "1", ":v1": 7, ":v2": '"x"', ":v3": '"y"', ":v4": '"z"', ":v5": "null"}
