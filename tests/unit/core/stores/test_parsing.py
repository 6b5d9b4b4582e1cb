"""Answers of DynamoDB are read as botocore's own parser reads them."""

import json
from typing import Any

import botocore.session
import pytest
from botocore.parsers import JSONParser, ResponseParserFactory
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.stores.attributes import from_attributes, to_attributes
from chalicelib.core.stores.parsing import ItemParsers

MODEL = botocore.session.get_session().get_service_model("dynamodb")
LEAVES = st.text() | st.integers(-(10**30), 10**30) | st.booleans() | st.frozensets(st.text(min_size=1), min_size=1)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1), inner), max_leaves=10
)
ITEMS = st.dictionaries(st.text(min_size=1), VALUES, max_size=5)


def parsed(factory: ResponseParserFactory, operation: str, answer: dict[str, Any], status: int = 200) -> Any:
    response = {"status_code": status, "headers": {}, "body": json.dumps(answer).encode()}
    shape = MODEL.operation_model(operation).output_shape
    return factory.create_parser("json").parse(response, shape)


@given(item=ITEMS)
@pytest.mark.parametrize(
    ("operation", "shape"),
    [
        ("GetItem", lambda values: {"Item": values, "ConsumedCapacity": {"CapacityUnits": 1.0}}),
        ("UpdateItem", lambda values: {"Attributes": values}),
        ("Query", lambda values: {"Items": [values, values], "Count": 2, "LastEvaluatedKey": values}),
        ("BatchGetItem", lambda values: {"Responses": {"a-table": [values]}, "UnprocessedKeys": {}}),
    ],
)
def test_items_are_read_as_by_botocore(operation: str, shape: Any, item: dict[str, Any]) -> None:
    answer = shape(to_attributes(item))
    found = parsed(ItemParsers(), operation, answer)
    assert found == parsed(ResponseParserFactory(), operation, answer)
    if operation == "GetItem":
        assert from_attributes(found["Item"]) == item


@pytest.mark.parametrize("status", [400, 500])
def test_errors_are_read_as_by_botocore(status: int) -> None:
    reasons = [{"Code": "ConditionalCheckFailed", "Item": to_attributes({"pk": "a", "n": 1})}]
    answer = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "cancelled",
        "CancellationReasons": reasons,
    }
    ours = parsed(ItemParsers(), "TransactWriteItems", answer, status)
    assert ours == parsed(ResponseParserFactory(), "TransactWriteItems", answer, status)


def test_attribute_values_are_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[str] = []
    handle = JSONParser._handle_structure

    def noting(self: Any, shape: Any, value: Any) -> Any:
        walked.append(shape.name)
        return handle(self, shape, value)

    monkeypatch.setattr(JSONParser, "_handle_structure", noting)
    parsed(ItemParsers(), "GetItem", {"Item": to_attributes({"doc": {"a": ["b"]}})})
    assert walked == ["GetItemOutput"]
