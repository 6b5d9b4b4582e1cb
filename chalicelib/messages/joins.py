"""How far each connection has read its account's undelivered messages. One conditional update decides each turn.

A join reads the undelivered messages in order (``backlog``), then those that were stored late, at a rank that was read
already (``late``), and is then ``joined``. A ping of a joined connection may begin another ``late`` pass.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument

from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.messages.models import Message

INDEXES = [IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0)]

#: Longer than the gateway keeps a connection.
_KEPT_MS = 3 * 3_600_000
#: The most offered messages that a join remembers.
_SEEN = 1_000
#: A message may be stored so long after its time was taken, and a push may be on its way for so long.
GRACE = timedelta(seconds=5)


class Phase(StrEnum):
    """What the connection reads next."""

    BACKLOG = "backlog"
    LATE = "late"
    JOINED = "joined"


class Join(NamedTuple):
    """A join as stored. *now* is the server's time of the reading."""

    connection_id: str
    account_id: str
    turn: int
    phase: Phase
    #: The last rank that was offered, in this phase.
    rank: int
    #: The messages of the last batch.
    awaiting: tuple[str, ...]
    #: Messages that were offered already and that a late pass would find again.
    seen: frozenset[str]
    #: Whether the last batch was offered twice.
    repeated: bool
    offered_at: datetime
    #: The late pass reads messages stored between these times.
    since: datetime
    until: datetime
    #: Whether the end of the join was told.
    told: bool
    now: datetime

    @property
    def settled_at(self) -> datetime:
        """The time before which everything stored is also visible and pushed, unless a process died."""
        return self.now - GRACE


class Joins:
    """The joins of all connections."""

    def __init__(self, collection: Collection[dict[str, Any]]) -> None:
        self._joins = collection

    def begin(self, connection_id: str, account_id: str) -> Join:
        """Begin a join anew, from the first undelivered message."""
        new = {
            "account": {"$literal": account_id},
            "turn": {"$add": [{"$ifNull": ["$turn", 0]}, 1]},
            "phase": Phase.BACKLOG.value,
            "rank": 0,
            "awaiting": [],
            "seen": [],
            "repeated": False,
            "offeredAt": "$$NOW",
            "since": {"$subtract": ["$$NOW", GRACE // timedelta(milliseconds=1)]},
            "until": "$$NOW",
            "told": False,
            "purgeAt": {"$add": ["$$NOW", _KEPT_MS]},
        }
        with reaching_mongodb():
            found: Any = self._joins.find_one_and_update(
                {"_id": connection_id}, [{"$set": new}], _SHOWN, upsert=True, return_document=ReturnDocument.AFTER
            )
        return _join(found)

    def get(self, connection_id: str) -> Join | None:
        """Return the join of a connection, or None."""
        with reaching_mongodb():
            found = self._joins.find_one({"_id": connection_id}, _SHOWN)
        return _join(found) if found else None

    def offer(self, join: Join, rank: int, messages: Sequence[Message]) -> Join | None:
        """Note that *messages*, up to *rank*, are offered. Return None if another frame had the turn."""
        recent = [message.message_id for message in messages if message.created_at >= join.since]
        seen = {"$slice": [{"$concatArrays": ["$seen", recent]}, -_SEEN]}
        awaiting = [message.message_id for message in messages]
        return self._turn(join, {"rank": rank, "awaiting": awaiting, "seen": seen, "repeated": False})

    def repeat(self, join: Join) -> Join | None:
        """Note that the last batch is offered once more. Return None if another frame had the turn."""
        return self._turn(join, {"repeated": True})

    def look_back(self, join: Join, since: datetime, until: datetime) -> Join | None:
        """Begin a late pass over messages stored between two times. Return None if another frame had the turn."""
        change = {"phase": Phase.LATE.value, "rank": 0, "awaiting": [], "since": since, "until": until}
        return self._turn(join, change)

    def complete(self, join: Join) -> Join | None:
        """End the late pass: all before its end was offered. Return None if another frame had the turn."""
        change = {"phase": Phase.JOINED.value, "awaiting": [], "since": join.until, "told": True}
        return self._turn(join, change)

    def _turn(self, join: Join, change: dict[str, Any]) -> Join | None:
        update = [{"$set": {**change, "turn": join.turn + 1, "offeredAt": "$$NOW"}}]
        with reaching_mongodb():
            found = self._joins.find_one_and_update(
                {"_id": join.connection_id, "turn": join.turn}, update, _SHOWN, return_document=ReturnDocument.AFTER
            )
        return _join(found) if found else None


_SHOWN = dict.fromkeys(
    ("account", "turn", "phase", "rank", "awaiting", "seen", "repeated", "offeredAt", "since", "until", "told"), 1
) | {"now": "$$NOW"}


def _join(found: dict[str, Any]) -> Join:
    return Join(
        connection_id=found["_id"],
        account_id=found["account"],
        turn=found["turn"],
        phase=Phase(found["phase"]),
        rank=found["rank"],
        awaiting=tuple(found["awaiting"]),
        seen=frozenset(found["seen"]),
        repeated=found["repeated"],
        offered_at=found["offeredAt"],
        since=found["since"],
        until=found["until"],
        told=found["told"],
        now=found["now"],
    )
