"""Follows many topics by one stream of events: snapshots of jobs, and nudges for topics that clients fetch themselves.

The id of an event is a vector: the revision of each topic that the client has with this event. So a stream that breaks
off between two events goes on with the second.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple

from pydantic_core import to_json

from chalicelib.core.errors import FieldError, Forbidden, Invalid, NotFound
from chalicelib.core.web import Answer, Caller, streams
from chalicelib.core.web.frames import Connection, Topic, topic_named
from chalicelib.progress import wiring
from chalicelib.progress.follow import Followed, held

#: The most topics of one stream.
MOST_TOPICS = 20
#: Lists of others are read at most so often while a stream is held.
_LISTS_SECONDS = 1.0
#: The revision of a topic that has ended for the client.
_GONE = "gone"


class State(NamedTuple):
    """A topic at one revision, and the data of its event. A *final* topic does not change any more."""

    topic: str
    revision: str
    data: Mapping[str, Any]
    final: bool = False


def many(caller: Caller, topics: str, last_event_id: str | None) -> Answer:
    """Return the events of *topics*, names with commas between, for a client that has got *last_event_id*.

    A topic that the caller may not follow, or that is gone, says so by an event of its own; the others go on.

    Raises:
        Invalid: a topic is unknown, or there are too many.
    """
    names, known = _names(topics), _vector(last_event_id)
    read = _reader(Connection("", caller), names, known)
    seen = read()

    def changed(states: Sequence[State]) -> bool:
        return any(state.revision != known.get(state.topic) for state in states)

    def render(states: Sequence[State]) -> str:
        return _events(states, known)

    if changed(seen):
        return streams.answer(render(seen), retry_ms=wiring.options().stream_retry_ms)
    if all(state.final for state in seen):
        return streams.OVER
    return held(caller, Followed(("topics", caller.account_id, topics, last_event_id), read, changed, render), seen)


def _names(topics: str) -> list[str]:
    names = list(dict.fromkeys(topics.split(",")))
    if unknown := [name for name in names if topic_named(name) is None]:
        raise Invalid([FieldError("topics", f"there is no topic {unknown[0][:200]}")])
    if len(names) > MOST_TOPICS:
        raise Invalid([FieldError("topics", f"must be at most {MOST_TOPICS}")])
    return names


def _reader(connection: Connection, names: Sequence[str], known: Mapping[str, str]) -> Callable[[], list[State]]:
    """Return the function that reads all topics. States without a revision of their own are read less often."""
    lists: dict[str, tuple[float, State]] = {}

    def state(name: str) -> State:
        if (kept := lists.get(name)) and monotonic() - kept[0] < _LISTS_SECONDS:
            return kept[1]
        found = _state(connection, name, known.get(name))
        if "changed" in found.data:
            lists[name] = (monotonic(), found)
        return found

    return lambda: [state(name) for name in names]


def _state(connection: Connection, name: str, known: str | None) -> State:
    """Return the topic as it is now. A lower revision than *known* is another thing under the same name."""
    try:
        topic = _topic(name)
        topic.authorise(connection, name)
        snapshot = topic.snapshot(connection, name)
    except (NotFound, Forbidden) as error:
        return _gone(name, error.code)
    if "revision" not in snapshot:
        digest = hashlib.sha256(to_json(snapshot)).hexdigest()[:16]
        return State(name, digest, {"topic": name, "changed": True})
    revision = snapshot["revision"]
    if known is not None and known.isdigit() and int(known) > revision:
        return _gone(name, "replaced")
    return State(name, str(revision), {"topic": name, "snapshot": snapshot}, bool(snapshot.get("completed")))


def _topic(name: str) -> Topic:
    if (topic := topic_named(name)) is None:
        raise NotFound
    return topic


def _gone(name: str, reason: str) -> State:
    return State(name, _GONE, {"topic": name, "ended": reason}, final=True)


def _events(states: Sequence[State], known: Mapping[str, str]) -> str:
    """Return an event for each topic that differs from *known*; all topics if none does."""
    asked = {state.topic for state in states}
    vector = {name: revision for name, revision in known.items() if name in asked}
    news = [state for state in states if state.revision != known.get(state.topic)] or states
    events = []
    for state in news:
        vector[state.topic] = state.revision
        id_ = ",".join(f"{name}={revision}" for name, revision in vector.items())
        events.append(streams.event("message", id_, state.data))
    return "".join(events)


def _vector(last_event_id: str | None) -> dict[str, str]:
    """Return the revision of each topic in the id of an event; nothing for an id of another form."""
    pairs = (part.partition("=") for part in (last_event_id or "").split(","))
    return {name: revision for name, found, revision in pairs if found}
