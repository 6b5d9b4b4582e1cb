"""Renders the texts of copies anew whose shape is of another version, at deployment."""

from collections.abc import Mapping
from typing import Any

from pymongo import UpdateOne
from pymongo.collection import Collection

from chalicelib.core.records.shape import Shape, record_of_copy

#: Copies that are read and written at once.
_AT_ONCE = 500


def upgrade(copies: Collection[dict[str, Any]], kind: str, shape: Shape) -> int:
    """Render the texts of *copies* that have none of the version of *shape*; return how many changed.

    Safe to repeat, and beside writers: a text is written only to the state of which it was rendered. A copy that does
    not fit the model is left as it is.
    """
    changed, after = 0, ""
    outdated = {"live": True, "shape": {"$ne": shape.version}}
    while found := list(copies.find({**outdated, "_id": {"$gt": after}}).sort("_id").limit(_AT_ONCE)):
        after = found[-1]["_id"]
        writes = [_write(copy, fields) for copy in found if (fields := shape.stored(record_of_copy(kind, copy)))]
        changed += copies.bulk_write(writes, ordered=False).modified_count if writes else 0
    return changed


def _write(copy: Mapping[str, Any], fields: Mapping[str, str]) -> "UpdateOne":
    state = {"_id": copy["_id"], "live": True, "version": copy["version"], "sequence": copy.get("sequence")}
    return UpdateOne(state, {"$set": fields})
