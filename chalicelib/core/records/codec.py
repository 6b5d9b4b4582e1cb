"""A record as an item of its table, and back.

A document's fields are kept one by one, each as JSON text: a write that leaves fields out is one update and needs no
read before it, a condition can name a field's former value, and DynamoDB's own idea of numbers stays out of it.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any

from chalicelib.core.records.errors import RecordTooLarge
from chalicelib.core.records.models import Doc, Record, State, packed
from chalicelib.core.stores.attributes import Item

#: What one record's document may weigh; DynamoDB takes 400 KB, and history needs some of it.
_LARGEST_BYTES = 350_000


def record_of(item: Item) -> Record:
    """Return the record that *item* is.

    Raises:
        ValueError, KeyError: it is not one.
    """
    _see(item)
    kind, _, record_id = item["pk"].partition("#")
    return Record(
        kind=kind,
        id=record_id,
        version=item["version"],
        doc={name: json.loads(text) for name, text in item["doc"].items()},
        created_at=item["createdAt"],
        created_by=item["createdBy"],
        updated_at=item["updatedAt"],
        updated_by=item["updatedBy"],
        operation=item["operation"],
        made=item["made"],
        deleted=item.get("deleted", False),
    )


def fields_of(doc: Doc) -> dict[str, str]:
    """Return a document's fields as they stand in an item.

    Raises:
        RecordTooLarge: they are more than a record may hold.
    """
    fields = {name: packed(value) for name, value in doc.items()}
    if sum(len(name.encode()) + len(text.encode()) for name, text in fields.items()) > _LARGEST_BYTES:
        raise RecordTooLarge
    return fields


class Update:
    """An update expression that puts *fields* into a living record's document."""

    def __init__(self, fields: Doc, expected: int | None, where: Sequence[State]) -> None:
        self.names: dict[str, str] = {}
        self.values: Item = {}
        texts = fields_of(fields)
        self.sets = [f"doc.{self._name(name)} = {self._value(text)}" for name, text in texts.items()]
        conditions = ["attribute_exists(pk)", "attribute_not_exists(deleted)"]
        if expected is not None:
            conditions.append(f"version = {self._value(expected)}")
        if where:
            conditions.append(f"({' OR '.join(self._state(state) for state in where)})")
        self.when = " AND ".join(conditions)

    def _state(self, state: State) -> str:
        return " AND ".join(f"doc.{self._name(name)} IN ({self._any(allowed)})" for name, allowed in state.items())

    def _any(self, allowed: Collection[Any]) -> str:
        return ", ".join(self._value(packed(value)) for value in allowed)

    def _name(self, name: str) -> str:
        placeholder = f"#f{len(self.names)}"
        self.names[placeholder] = name
        return placeholder

    def _value(self, value: str | int) -> str:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = value
        return placeholder


def _see(item: Item) -> None:
    # Seen here it is one item's fault; further on it would spoil what is done for many at once.
    texts = [item[name] for name in ("createdAt", "createdBy", "updatedAt", "updatedBy", "operation", "made")]
    if not isinstance(item["doc"], dict) or not all(isinstance(text, str) for text in [*texts, *item["doc"].values()]):
        raise ValueError("text is missing where it must be")
    if type(item["version"]) is not int or not isinstance(item.get("deleted", False), bool):
        raise ValueError("its version or its mark of deletion is none")
