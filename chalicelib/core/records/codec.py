"""A record as a DynamoDB item and back, and the update expressions that edit or annotate an item.

Each field of a document, and of the annotations, is a separate attribute with JSON text. So an edit of some
fields is one update without a read, a condition can name a field's former value, and numbers keep their JSON form.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any

from chalicelib.core.records.errors import RecordTooLarge
from chalicelib.core.records.models import Doc, Expected, Record, State, packed
from chalicelib.core.stores.attributes import Item

#: Size limit of one record's document, in bytes. DynamoDB allows 400 KB, and a history entry needs some of the 400 KB.
_LARGEST_BYTES = 350_000


def record_of(item: Item) -> Record:
    """Return the record that *item* holds.

    Raises:
        ValueError, KeyError: *item* is not a valid record.
    """
    _check(item)
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
        # Items of earlier releases have neither annotations nor revision.
        annotations={name: json.loads(text) for name, text in item.get("annotations", {}).items()},
        revision=item.get("revision", 0),
        hops=item.get("hops", 0),
    )


def fields_of(doc: Doc) -> dict[str, str]:
    """Return the fields of a document, or of annotations, as an item holds them.

    Raises:
        RecordTooLarge: the fields exceed the size limit of a record.
    """
    fields = {name: packed(value) for name, value in doc.items()}
    if sum(len(name.encode()) + len(text.encode()) for name, text in fields.items()) > _LARGEST_BYTES:
        raise RecordTooLarge
    return fields


class Update:
    """An update expression that sets *fields* in one map of a living record: its document, or the map *into*."""

    def __init__(self, fields: Doc, expected: Expected, where: Sequence[State], into: str = "doc") -> None:
        self.names: dict[str, str] = {}
        self.values: Item = {}
        texts = fields_of(fields)
        self.sets = [f"{into}.{self._name(name)} = {self._value(text)}" for name, text in texts.items()]
        conditions = ["attribute_exists(pk)", "attribute_not_exists(deleted)"]
        if isinstance(expected, int):
            conditions.append(f"version = {self._value(expected)}")
        elif expected is not None:
            conditions.append(f"version IN ({', '.join(map(self._value, sorted(expected)))})")
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


class Annotation(Update):
    """An update expression that sets *fields* in a living record's annotations and raises its revision by one.

    The condition refuses a repeat of the last annotation. With *first* the condition demands an item without the map of
    annotations, else an item with the map: DynamoDB sets no field of a missing map.
    """

    def __init__(self, fields: Doc, operation: str, where: Sequence[State], *, first: bool) -> None:
        super().__init__({} if first else fields, None, where, into="annotations")
        self.values |= {":operation": operation, ":none": 0, ":one": 1}
        if first:
            self.values[":annotations"] = fields_of(fields)
            self.sets.append("annotations = :annotations")
        self.sets += ["lastAnnotation = :operation", "revision = if_not_exists(revision, :none) + :one"]
        map_exists = "attribute_not_exists" if first else "attribute_exists"
        new = "(attribute_not_exists(lastAnnotation) OR lastAnnotation <> :operation)"
        self.when = f"{self.when} AND {map_exists}(annotations) AND {new}"


def _check(item: Item) -> None:
    # An invalid item found here fails alone; found later, the item would fail a whole batch.
    texts = [item[name] for name in ("createdAt", "createdBy", "updatedAt", "updatedBy", "operation", "made")]
    if not isinstance(item["doc"], dict) or not all(isinstance(text, str) for text in [*texts, *item["doc"].values()]):
        raise ValueError("text is missing where it must be")
    if type(item["version"]) is not int or not isinstance(item.get("deleted", False), bool):
        raise ValueError("its version or its mark of deletion is none")
    annotations = item.get("annotations", {})
    if not isinstance(annotations, dict) or not all(isinstance(text, str) for text in annotations.values()):
        raise ValueError("its annotations are no map of texts")
    if type(item.get("revision", 0)) is not int:
        raise ValueError("its revision is none")
