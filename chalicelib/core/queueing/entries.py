"""Aggregation pipeline expressions that write and read the entries of an outbox (no I/O).

All times are the server's. `outbox` describes the purpose of entries.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from chalicelib.core.queueing.queues import RETENTION_SECONDS
from chalicelib.core.runtime import logs

#: How far ahead entries are dispatched, with the remaining time as SQS's delay. The sweep runs once a minute; an effect
#: is in time even if a sweep is half a minute late.
HORIZON_MS = 90_000
#: The sweep leaves an entry for so long to the process that made the change and dispatches the entry.
_GRACE_MS = 15_000
#: After this, a dispatched entry that no worker has ended is dispatched again: the message was lost, or SQS gave the
#: message up. Any other message has been settled or dead-lettered long before.
_HELD_MS = 3_600_000
#: The same for an entry of a lane, whose messages come to nothing while the lane is busy or closed.
LANE_HELD_MS = 120_000
#: The ``purgeAt`` of a document with entries: MongoDB never removes the document. A date, as processes of earlier
#: versions serve no document without one.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
#: A document outlives the dead letters of its effects by a day, for a letter that is sent back at the end of its life.
_LETTERS_MS = (RETENTION_SECONDS + 24 * 3600) * 1000

Expression = dict[str, Any]
_OUTBOX: Expression = {"$ifNull": ["$outbox", []]}


class Entry(NamedTuple):
    """A pending side effect, and the time until the effect is due by the server's clock; overdue is negative.

    *owner* is the account for which the effect is done, *lane* the lane that bounds how many such effects run at once.
    """

    effect: str
    due_in_ms: int
    owner: str = ""
    lane: str | None = None


def entry(effect: str, due: Any, *, owner: Any = "", lane: Any = None, dispatched: bool = True) -> Expression:
    """Return the expression of a new entry; *due*, *owner* and *lane* are expressions.

    *dispatched*: the caller calls `Outbox.dispatch` right after the update. The sweep then skips the entry for some
    seconds, if the entry is due within `HORIZON_MS`. The id of the current request goes with the entry of a lane.
    """
    made = {"effect": effect, "due": due, "owner": owner}
    if lane is not None:
        made |= {"lane": lane, "causedBy": {"$literal": logs.line().fields.get("requestId", "")}}
    return made | ({"heldUntil": hold(due)} if dispatched else {})


def hold(due: Any) -> Expression:
    """Return the expression of the time until which the sweep skips a dispatched entry; null if due after the horizon.

    *due* is the expression of the time at which the entry is due.
    """
    soon = {"$lte": [due, {"$add": ["$$NOW", HORIZON_MS]}]}
    return {"$cond": [soon, {"$add": [{"$max": [due, "$$NOW"]}, _GRACE_MS]}, None]}


def held(effect: str) -> Expression:
    """Return the expression of a document's outbox with the entry of *effect* held for its worker."""
    held_ms = {"$cond": [{"$eq": [{"$type": "$$this.lane"}, "string"]}, LANE_HELD_MS, _HELD_MS]}
    held_entry = {"$mergeObjects": ["$$this", {"heldUntil": {"$add": ["$$NOW", held_ms]}}]}
    return {"$map": {"input": "$outbox", "in": {"$cond": [{"$eq": ["$$this.effect", effect]}, held_entry, "$$this"]}}}


def postponed(effect: str, seconds: float) -> Expression:
    """Return the expression of the outbox with the entry of *effect* due in *seconds*, when its message comes again."""
    due = {"$add": ["$$NOW", round(seconds * 1000)]}
    later = {"$mergeObjects": ["$$this", {"due": due, "heldUntil": {"$add": [due, _HELD_MS]}}]}
    return {"$map": {"input": "$outbox", "in": {"$cond": [{"$eq": ["$$this.effect", effect]}, later, "$$this"]}}}


def ended(effect: str, *, dead: bool) -> list[Expression]:
    """Return the stages that remove the entry of *effect*. *dead*: the effect was dead-lettered."""
    left = {"$filter": {"input": _OUTBOX, "cond": {"$ne": ["$$this.effect", {"$literal": effect}]}}}
    letters = {"lettersUntil": {"$add": ["$$NOW", _LETTERS_MS]}} if dead else {}
    return [{"$set": {"outbox": left, **letters}}, *kept()]


def kept() -> list[Expression]:
    """Return the stages that set ``purgeAt`` anew, after each change of a document's outbox.

    A document with entries stays. Without entries, the document stays until ``readableUntil``, and as long as a dead
    letter of its effects may be sent back. A document without ``readableUntil`` is permanent.
    """
    until = {"$max": ["$readableUntil", "$lettersUntil"]}
    purge_at = {"$cond": [{"$eq": [_OUTBOX, []]}, until, NEVER]}
    # Documents of earlier versions have no `readableUntil`: `purgeAt` was both.
    return [
        {"$set": {"readableUntil": {"$ifNull": ["$readableUntil", "$purgeAt"]}}},
        {"$set": {"purgeAt": {"$cond": [{"$eq": [{"$type": "$readableUntil"}, "date"]}, purge_at, "$$REMOVE"]}}},
    ]


def shown() -> Expression:
    """Return the expression that projects a document's entries for `read`."""
    fields = {name: f"$$this.{name}" for name in ("effect", "owner", "lane")}
    due = {"$subtract": ["$$this.due", "$$NOW"]}
    # MongoDB sorts a missing value below every time.
    held = {"$gt": ["$$this.heldUntil", "$$NOW"]}
    return {"$map": {"input": "$outbox", "in": {**fields, "dueInMs": due, "held": held}}}


def read(entries: Sequence[Mapping[str, Any]], *, free: bool = False) -> tuple[Entry, ...]:
    """Return the entries from a projection by `shown`; with *free*, only entries that are not held."""
    return tuple(
        Entry(entry["effect"], int(entry["dueInMs"]), entry.get("owner") or "", entry.get("lane"))
        for entry in entries
        if not (free and entry["held"])
    )
