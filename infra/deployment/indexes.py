"""MongoDB's indexes, made at deployment: a function never waits for one on its first request."""

from typing import Any

from pymongo import IndexModel, MongoClient
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from chalicelib.applications import store as applications
from chalicelib.approvals import store as approvals
from chalicelib.core.records.view import collection_of
from chalicelib.core.runtime import settings
from chalicelib.devices import store as devices
from chalicelib.sessions import store as sessions

#: An index of that name, or of those keys, is there with another definition (IndexOptionsConflict and its sibling).
_CHANGED = frozenset({85, 86})


def every() -> dict[str, list[IndexModel]]:
    """Return every index by its collection."""
    return {
        collection_of("application"): applications.INDEXES,
        "approvals": approvals.INDEXES,
        "devices": devices.INDEXES,
        "sessions": sessions.INDEXES,
        "tickets": sessions.TICKET_INDEXES,
    }


def ensure(uri: str) -> None:
    """Create every index that is missing, and make anew those whose definition has changed. Safe to repeat."""
    client: MongoClient[dict[str, Any]] = MongoClient(uri, serverSelectionTimeoutMS=10_000)
    with client:
        database = client[settings.MongoSettings().database]
        for collection, wanted in every().items():
            _ensure(database[collection], wanted)


def _ensure(collection: Collection[dict[str, Any]], wanted: list[IndexModel]) -> None:
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
