"""Converts plain values to DynamoDB attributes and back."""

from collections.abc import Mapping
from typing import Any

Item = dict[str, Any]


def to_attributes(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return *values* as DynamoDB attributes.

    Supports text, whole numbers, booleans, sets of text, and lists and maps of supported values.

    Raises:
        TypeError: a value has another type.
    """
    return {name: _attribute(value) for name, value in values.items()}


def from_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> Item:
    """Return the inverse of `to_attributes`."""
    return {name: _value(attribute) for name, attribute in attributes.items()}


def _attribute(value: Any) -> dict[str, Any]:
    # In Python a bool is an int, so bool is tested first.
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, list):
        return {"L": [_attribute(item) for item in value]}
    if isinstance(value, frozenset):
        return {"SS": sorted(value)}
    if isinstance(value, dict):
        return {"M": to_attributes(value)}
    raise TypeError(f"{type(value).__name__} has no place in an item")


def _value(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    if kind == "N":
        return int(value)
    if kind == "SS":
        return frozenset(value)
    if kind == "L":
        return [_value(item) for item in value]
    if kind == "M":
        return from_attributes(value)
    return value
