"""Entries of an outbox, as MongoDB writes and reads them: expressions for aggregation pipelines (no I/O).

All times are the server's. `outbox` says what an entry is for.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

#: So far ahead entries are dispatched, with the rest of the time as SQS's delay. The sweep runs once a minute and may
#: be late by half of one, and an effect is still in time.
HORIZON_MS = 90_000
#: An entry this young is being dispatched by whoever made the change.
_GRACE_MS = 15_000
#: A dispatched entry that no worker has ended by then is dispatched again: its message was lost, or SQS gave it up. An
#: ordinary message has been settled or dead-lettered long before.
_HELD_MS = 3_600_000

Expression = dict[str, Any]


class Entry(NamedTuple):
    """An effect that must still follow, and in how long by the server's clock; negative is overdue."""

    effect: str
    due_in_ms: int


def entry(effect: str, due: Any, *, dispatched: bool = True) -> Expression:
    """Return a new entry that is due at *due*, an expression.

    *dispatched* says that whoever writes the entry calls `Outbox.dispatch` right after: the sweep leaves an entry that
    is near to that caller for some seconds.
    """
    near = {"$lte": [due, {"$add": ["$$NOW", HORIZON_MS]}]}
    held = {"$cond": [near, {"$add": [{"$max": [due, "$$NOW"]}, _GRACE_MS]}, "$$REMOVE"]}
    return {"effect": effect, "due": due} | ({"heldUntil": held} if dispatched else {})


def held(effect: str) -> Expression:
    """Return a document's outbox in which the entry of *effect* is held for its worker."""
    mine = {"$mergeObjects": ["$$this", {"heldUntil": {"$add": ["$$NOW", _HELD_MS]}}]}
    return {"$map": {"input": "$outbox", "in": {"$cond": [{"$eq": ["$$this.effect", effect]}, mine, "$$this"]}}}


def shown() -> Expression:
    """Return a document's entries as `read` takes them."""
    due = {"$subtract": ["$$this.due", "$$NOW"]}
    return {"$map": {"input": "$outbox", "in": {"effect": "$$this.effect", "dueInMs": due}}}


def read(entries: Sequence[Expression]) -> tuple[Entry, ...]:
    """Return the entries that `shown` projected."""
    return tuple(Entry(entry["effect"], int(entry["dueInMs"])) for entry in entries)
