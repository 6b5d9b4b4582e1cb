"""Items survive the way through DynamoDB's types and through a table."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from chalicelib.core.stores import clients
from chalicelib.core.stores.attributes import from_attributes, to_attributes

# Numbers have 38 digits.
SCALARS = st.booleans() | st.integers(-(10**37), 10**37) | st.text()
LISTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner), max_leaves=6
)
ITEMS = st.dictionaries(st.text(min_size=1, max_size=20), VALUES, max_size=6)
#: Moto takes a map's key that is the name of a type for that type.
FLAT_ITEMS = st.dictionaries(st.text(min_size=1, max_size=20), LISTS, max_size=6)


@given(item=ITEMS)
def test_item_survives_conversion_to_attributes_and_back(item: dict[str, Any]) -> None:
    again = from_attributes(to_attributes(item))
    assert again == item
    # True == 1 to Python, and not to DynamoDB.
    assert repr(again) == repr(item)


@given(item=FLAT_ITEMS)
@hypothesis(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_item_read_from_the_table_equals_the_item_put(dynamodb: Any, item: dict[str, Any]) -> None:
    # Names that DynamoDB reserves need no care here.
    stored = {"pk": "x", **{name: value for name, value in item.items() if name not in {"pk", "kind", "dismiss"}}}
    table = clients.table("users").name
    dynamodb.put_item(TableName=table, Item=to_attributes(stored))
    answer = dynamodb.get_item(TableName=table, Key=to_attributes({"pk": "x"}), ConsistentRead=True)
    assert from_attributes(answer["Item"]) == stored


@pytest.mark.parametrize("value", [None, 1.5, {"a": 1.5}, {"a"}, b"x", (1,), [None], [[1.5]]])
def test_value_without_a_dynamodb_type_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="has no place in an item"):
        to_attributes({"name": value})
