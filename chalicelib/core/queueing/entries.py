"""Aggregation pipeline expressions that write and read the entries of an outbox (no I/O).

All times are the server's. `outbox` describes the purpose of entries.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

#: How far ahead entries are dispatched, with the remaining time as SQS's delay. The sweep runs once a minute; an effect
#: is in time even if a sweep is half a minute late.
HORIZON_MS = 90_000
#: The sweep leaves an entry for so long to the process that made the change and dispatches the entry.
_GRACE_MS = 15_000
#: After this, a dispatched entry that no worker has ended is dispatched again: the message was lost, or SQS gave the
#: message up. Any other message has been settled or dead-lettered long before.
_HELD_MS = 3_600_000

Expression = dict[str, Any]


class Entry(NamedTuple):
    """A pending side effect, and the time until the effect is due by the server's clock; overdue is negative."""

    effect: str
    due_in_ms: int


def entry(effect: str, due: Any, *, dispatched: bool = True) -> Expression:
    """Return the expression of a new entry; *due* is the expression of the time at which the effect is due.

    *dispatched*: the caller calls `Outbox.dispatch` right after the update. The sweep then skips the entry for some
    seconds, if the entry is due within `HORIZON_MS`.
    """
    soon = {"$lte": [due, {"$add": ["$$NOW", HORIZON_MS]}]}
    held = {"$cond": [soon, {"$add": [{"$max": [due, "$$NOW"]}, _GRACE_MS]}, "$$REMOVE"]}
    return {"effect": effect, "due": due} | ({"heldUntil": held} if dispatched else {})


def held(effect: str) -> Expression:
    """Return the expression of a document's outbox with the entry of *effect* held for its worker."""
    held_entry = {"$mergeObjects": ["$$this", {"heldUntil": {"$add": ["$$NOW", _HELD_MS]}}]}
    return {"$map": {"input": "$outbox", "in": {"$cond": [{"$eq": ["$$this.effect", effect]}, held_entry, "$$this"]}}}


def shown() -> Expression:
    """Return the expression that projects a document's entries for `read`."""
    due = {"$subtract": ["$$this.due", "$$NOW"]}
    return {"$map": {"input": "$outbox", "in": {"effect": "$$this.effect", "dueInMs": due}}}


def read(entries: Sequence[Expression]) -> tuple[Entry, ...]:
    """Return the entries from a projection by `shown`."""
    return tuple(Entry(entry["effect"], int(entry["dueInMs"])) for entry in entries)
