"""MongoDB's indexes, made at deployment: a function never waits for one on its first request."""

from collections.abc import Sequence
from typing import Any

from pymongo import IndexModel, MongoClient
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from chalicelib import slices
from chalicelib.core.runtime import settings

#: An index of that name, or of those keys, is there with another definition (IndexOptionsConflict and its sibling).
_CHANGED = frozenset({85, 86})


def ensure(uri: str) -> None:
    """Create every index that is missing, and make anew those whose definition has changed. Safe to repeat."""
    client: MongoClient[dict[str, Any]] = MongoClient(uri, serverSelectionTimeoutMS=10_000)
    with client:
        database = client[settings.MongoSettings().database]
        for collection, wanted in slices.indexes().items():
            _ensure(database[collection], wanted)


def _ensure(collection: Collection[dict[str, Any]], wanted: Sequence[IndexModel]) -> None:
    try:
        collection.create_indexes(wanted)
    except OperationFailure as error:
        if error.code not in _CHANGED:
            raise
        for index in wanted:
            _ensure_one(collection, index)


def _ensure_one(collection: Collection[dict[str, Any]], index: IndexModel) -> None:
    try:
        collection.create_indexes([index])
    except OperationFailure as error:
        if error.code not in _CHANGED:
            raise
        # By its name where that is taken, else by its keys.
        name, keys = index.document["name"], index.document["key"]
        old = name if name in collection.index_information() else keys
        collection.database.command("dropIndexes", collection.name, index=old)
        collection.create_indexes([index])
