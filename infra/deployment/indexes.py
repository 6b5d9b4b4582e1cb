"""Makes MongoDB's indexes at deployment, so that no function waits for an index on its first request.

Then the slices' upgrades bring documents of earlier versions up to date.
"""

from collections.abc import Sequence
from typing import Any

from pymongo import IndexModel
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from chalicelib import slices

#: An index of the same name or keys exists with another definition (IndexOptionsConflict, IndexKeySpecsConflict).
_CHANGED = frozenset({85, 86})


def ensure(database: Database[dict[str, Any]]) -> None:
    """Create missing indexes; drop and recreate indexes with a changed definition. Safe to repeat."""
    for collection, wanted in slices.indexes().items():
        _ensure(database[collection], wanted)


def upgrade(database: Database[dict[str, Any]]) -> None:
    """Bring documents of earlier versions up to date. Safe to repeat, and beside calls of both versions.

    Run before and after the functions change: the version before stores documents until then.
    """
    for collection, bring in slices.upgrades().items():
        bring(database[collection])


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
        # Drop by name if the name is taken, else by keys.
        name, keys = index.document["name"], index.document["key"]
        old = name if name in collection.index_information() else keys
        collection.database.command("dropIndexes", collection.name, index=old)
        collection.create_indexes([index])
