"""Reads DynamoDB's answers without a walk through each attribute value, which botocore's own parser makes.

The JSON of an attribute value is the value that botocore returns, except for binary values, of which the tables of this
service have none: `attributes.to_attributes` writes none.
"""

from typing import Any

from botocore.parsers import JSONParser, ResponseParser, ResponseParserFactory

_VALUE = "AttributeValue"


class _ItemParser(JSONParser):  # type: ignore[misc] # botocore has no types
    def _handle_map(self, shape: Any, value: Any) -> Any:
        return value if shape.value.name == _VALUE else super()._handle_map(shape, value)


class ItemParsers(ResponseParserFactory):  # type: ignore[misc] # botocore has no types
    """Makes the parsers of a DynamoDB client: items are returned as the JSON of the answer holds them."""

    def create_parser(self, protocol_name: str) -> ResponseParser:
        """Return the parser of *protocol_name*; DynamoDB speaks ``json``."""
        return _ItemParser(**self._defaults) if protocol_name == "json" else super().create_parser(protocol_name)
