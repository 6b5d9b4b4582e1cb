"""The order of lists that show the newest first: by ``createdAt``, which is the server's time, then by id.

An id alone has the time of the process that made it, and a keyed retry keeps the id of its first attempt.
"""

from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING

#: Parts time and id in a position; neither contains a space.
_SEPARATOR = " "

Keys = list[tuple[str, int]]


def newest_first(id_field: str = "_id") -> Keys:
    """Return the keys of the order, for a sort and for the end of an index."""
    return [("createdAt", DESCENDING), (id_field, DESCENDING)]


def oldest_first(id_field: str = "_id") -> Keys:
    """Return the keys of the reverse order."""
    return [("createdAt", ASCENDING), (id_field, ASCENDING)]


def position(created_at: datetime, id_: str) -> str:
    """Return the position of a document in the order."""
    return _SEPARATOR.join((created_at.isoformat(), id_))


def older_than(position: str, id_field: str = "_id") -> dict[str, Any]:
    """Return the query for documents that follow *position* when the newest is first."""
    stamp, _, id_ = position.partition(_SEPARATOR)
    created_at = datetime.fromisoformat(stamp)
    # The first condition alone bounds the index.
    return {"createdAt": {"$lte": created_at}, "$or": [{"createdAt": {"$lt": created_at}}, {id_field: {"$lt": id_}}]}
