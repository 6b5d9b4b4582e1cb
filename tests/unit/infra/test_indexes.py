"""Indexes are created at deployment, also over conflicting older indexes."""

from typing import Any

import pytest
from pymongo import IndexModel, MongoClient
from pymongo.database import Database

from chalicelib import slices
from infra.deployment import indexes
from infra.local.processes.mongod import Mongod

Mongo = Database[dict[str, Any]]
SUBJECT = "indexes-under-test"


@pytest.fixture
def collection(mongod: Mongod, monkeypatch: pytest.MonkeyPatch) -> Any:
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        collection = client.get_default_database()[SUBJECT]
        yield collection
        collection.drop()


@pytest.mark.parametrize(
    "old",
    [
        IndexModel([("username", 1)], name="mine"),
        IndexModel([("people", 1)], name="mine", unique=True),
        IndexModel([("people", 1)], name="other"),
    ],
    ids=["other keys", "other options", "other name"],
)
def test_an_index_with_a_changed_definition_is_recreated(
    collection: Any, monkeypatch: pytest.MonkeyPatch, old: IndexModel
) -> None:
    # Given
    collection.create_indexes([old, IndexModel([("kept", 1)], name="kept")])
    monkeypatch.setattr(slices, "indexes", lambda: {SUBJECT: [IndexModel([("people", 1)], name="mine")]})
    # When
    for _ in range(2):
        indexes.ensure(collection.database)
    # Then
    found = collection.index_information()
    assert found["mine"]["key"] == [("people", 1)]
    assert "unique" not in found["mine"]
    assert set(found) == {"_id_", "mine", "kept"}
