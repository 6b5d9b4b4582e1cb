"""Turns faults that pydantic finds into sentences of the API: the demand, in the field's words.

A message never has a value, a regular expression, or a word of pydantic's. The meaning of a pattern stands with its
type, as a `Form` (`core/models.py`).
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.models import FORM

_WHOLE = "must be a whole number"
_FLAG = "must be true or false"
_OBJECT = "must be an object"
_TIME = "must be a time with its zone, such as 2026-11-26T10:00:00Z"
#: For a fault without a sentence of its own: tells nothing of the framework.
_OTHER = "cannot be accepted"

#: The sentence of each type of fault; names in braces are of the fault's context.
_SENTENCES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request",
    "string_type": "must be a text",
    "string_unicode": "must be a text without broken characters",
    "string_pattern_mismatch": "has a form that this field does not take",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "has too many digits",
    "finite_number": "must be a finite number",
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "enum": "must be one of: {expected}",
    "literal_error": "must be one of: {expected}",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "timezone_aware": _TIME,
}
_ENUMERATIONS = frozenset({"enum", "literal_error"})
_LENGTHS: Mapping[str, tuple[str, str]] = {
    "string_too_short": ("at least", "min_length"),
    "too_short": ("at least", "min_length"),
    "string_too_long": ("at most", "max_length"),
    "too_long": ("at most", "max_length"),
}
#: The words for the parts of a value with a length; anything else is a text.
_PARTS = {"List": "item", "Dictionary": "field"}


def message(fault: Mapping[str, Any]) -> str:
    """Return the sentence for *fault*, an entry of ``ValidationError.errors()`` with its context."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == FORM:
        return str(fault["msg"])
    if kind == "value_error":
        # Raised by a validator of the models, in words for callers.
        return str(context["error"])
    if kind in _LENGTHS:
        return _length(*_LENGTHS[kind], context)
    if kind in _ENUMERATIONS:
        context = {"expected": context["expected"].replace("'", "").replace(" or ", ", ")}
    return _SENTENCES.get(kind, _OTHER).format_map(context)


def _length(bound: str, name: str, context: Mapping[str, Any]) -> str:
    count = context[name]
    part = _PARTS.get(context.get("field_type", ""), "character")
    return f"must have {bound} {count:,} {part}{'' if count == 1 else 's'}"
