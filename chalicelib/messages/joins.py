"""How far each connection has read its account's messages. One conditional update decides each turn.

A join reads the messages in order (``backlog``): the undelivered ones, or those that its device has not acknowledged.
Then it reads those that were stored late, at a rank that was read already (``late``), and is then ``joined``. A ping of
a joined connection may begin another ``late`` pass.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument

from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.messages.models import Message
from chalicelib.messages.readers import END, Reader
from chalicelib.messages.store import View

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
    #: The device that the join named.
    device: str | None
    #: The position up to which earlier messages have the mark of the device.
    marked: int
    #: The first join of the device, and when messages of sends from before it get the mark; None if they have it.
    device_since: datetime
    settle_at: datetime | None
    now: datetime

    @property
    def view(self) -> View:
        """The messages that the join reads."""
        return View(self.device, self.marked)

    @property
    def unsettled(self) -> bool:
        """Whether messages from before the first join of the device may lack its mark."""
        return self.settle_at is not None or self.marked < END

    @property
    def settled_at(self) -> datetime:
        """The time before which everything stored is also visible and pushed, unless a process died."""
        return self.now - GRACE


class Joins:
    """The joins of all connections."""

    def __init__(self, collection: Collection[dict[str, Any]]) -> None:
        self._joins = collection

    def begin(self, connection_id: str, account_id: str, reader: Reader | None = None) -> Join:
        """Begin a join anew, from the first undelivered message, or the first that the device has not acknowledged."""
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
            "device": {"$literal": reader.device} if reader else None,
            "marked": reader.marked if reader else END,
            "deviceSince": reader.since if reader else "$$NOW",
            "settleAt": reader.settle_at if reader else None,
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

    def marked(self, join: Join, marked: int) -> Join | None:
        """Note that messages up to *marked* have the mark. Return None if another frame had the turn."""
        return self._turn(join, {"marked": marked})

    def settled(self, join: Join) -> Join | None:
        """Note that no message lacks the mark. Return None if another frame had the turn."""
        return self._turn(join, {"settleAt": None})

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


_FIELDS = ("account", "turn", "phase", "rank", "awaiting", "seen", "repeated", "offeredAt", "since", "until", "told")
_SHOWN = dict.fromkeys((*_FIELDS, "device", "marked", "deviceSince", "settleAt"), 1) | {"now": "$$NOW"}


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
        device=found["device"],
        marked=found["marked"],
        device_since=found["deviceSince"],
        settle_at=found["settleAt"],
        now=found["now"],
    )
