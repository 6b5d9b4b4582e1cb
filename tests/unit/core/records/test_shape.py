from typing import Any

import pytest
from pydantic import BaseModel
from pymongo.collection import Collection
from pymongo.database import Database

from chalicelib.core.models import Model
from chalicelib.core.records import reshape
from chalicelib.core.records.models import Kind, Record
from chalicelib.core.records.shape import Shape
from chalicelib.core.records.view import View
from chalicelib.core.runtime.settings import RecordSettings
from tests.unit.core.records.build import NOTE, a_record, a_tombstone

Copies = Collection[dict[str, Any]]


class Note(Model):
    """A note in answers."""

    title: str
    version: int


class Longer(Note):
    """A note in answers of a later build."""

    length: int


def note(record: Record) -> BaseModel:
    return Note(title=record.doc["title"], version=record.version)


def longer(record: Record) -> BaseModel:
    return Longer(title=record.doc["title"], version=record.version, length=len(record.doc["title"]))


OLD, NEW = Shape(Note, note), Shape(Longer, longer)


def view(database: Database[dict[str, Any]], shape: Shape | None) -> View:
    kind = Kind(NOTE.name, NOTE.keys, shape.stored) if shape else NOTE
    return View(lambda: database, {NOTE.name: kind}, RecordSettings())


def read(copies: Copies, shape: Shape) -> list[str]:
    pipeline: list[dict[str, Any]] = [
        {"$match": {"live": True}},
        {"$sort": {"_id": 1}},
        {"$project": shape.projection("version")},
    ]
    return [shape.text_of(found, NOTE.name) for found in copies.aggregate(pipeline)]


def test_copy_holds_the_json_of_its_record(copies: Copies) -> None:
    view(copies.database, OLD).apply([a_record(doc={"title": 'é "1"'})])
    (found,) = copies.find()
    assert (found["text"], found["shape"]) == ('{"title":"é \\"1\\"","version":1}', OLD.version)


def test_text_of_the_current_shape_is_read_without_its_copy(copies: Copies) -> None:
    view(copies.database, OLD).apply([a_record()])
    (found,) = copies.aggregate([{"$project": OLD.projection("version")}])
    assert found.keys() == {"_id", "value", "text"}


@pytest.mark.parametrize("written", [None, OLD])
def test_text_of_another_shape_is_rendered_when_read(copies: Copies, written: Shape | None) -> None:
    view(copies.database, written).apply([a_record()])
    assert read(copies, NEW) == ['{"title":"Title 1","version":1,"length":7}']


@pytest.mark.parametrize("written", [None, OLD])
def test_upgrade_renders_texts_of_other_shapes_once(copies: Copies, written: Shape | None) -> None:
    # Given
    many = [a_record(f"n-{number}") for number in range(1_001)]
    view(copies.database, written).apply([*many, a_tombstone("gone")])
    # Then
    assert reshape.upgrade(copies, NOTE.name, NEW) == 1_001
    assert reshape.upgrade(copies, NOTE.name, NEW) == 0
    assert copies.count_documents({"shape": NEW.version, "text": {"$regex": "length"}}) == 1_001


@pytest.mark.parametrize(
    "newer", [a_record(version=2), a_record(annotations={"checked": True}, revision=1), a_tombstone()]
)
def test_upgrade_leaves_a_state_that_came_meanwhile(
    copies: Copies, newer: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    view(copies.database, None).apply([a_record()])
    found = list(copies.find())
    view(copies.database, None).apply([newer])
    (before,) = copies.find()
    # When
    copies.bulk_write([reshape._write(found[0], {"text": "old", "shape": "x"})])
    # Then
    assert list(copies.find()) == [before]


def test_record_that_fits_no_model_is_applied_without_a_text(copies: Copies) -> None:
    broken = Shape(Note, lambda record: Note.model_validate({"title": record.doc["title"], "version": "one"}))
    assert view(copies.database, broken).apply([a_record()]) == []
    assert "text" not in copies.find()[0]
    assert reshape.upgrade(copies, NOTE.name, broken) == 0
    with pytest.raises(ValueError, match="version"):
        read(copies, broken)


def test_version_of_a_shape_follows_from_its_fields() -> None:
    assert OLD.version == Shape(Note, longer).version
    assert len({OLD.version, NEW.version, Shape(Note, note, edition=2).version}) == 3
