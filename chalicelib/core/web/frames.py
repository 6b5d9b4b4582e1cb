"""Frames of WebSocket connections: the actions that clients may send, and the topics that clients may follow.

A slice declares an `Action` for each kind of frame that it handles, and a `Topic` for each thing that can be followed.
`chalicelib.slices` hands both to this module, and the slice sockets serves them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import StringConstraints

from chalicelib.core.errors import ServiceError
from chalicelib.core.models import Model
from chalicelib.core.web.roles import Caller

#: A frame to a client: a JSON object whose member ``event`` names its kind.
Event = Mapping[str, Any]

#: Chosen by the client: the events that answer a frame carry the frame's id.
FrameId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Frame(Model):
    """The members of every frame that a client sends. The model of an action derives from this class."""

    action: str
    id: FrameId | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection, and the caller at its other end, as of this frame."""

    connection_id: str
    caller: Caller


#: Handles a frame, given the frame as the action's model. Returns the events that answer the frame, in their order, to
#: this connection alone. A `ServiceError` becomes an ``error`` event; the connection stays. A frame may come twice, and
#: frames of one connection may be handled out of order.
Handle = Callable[[Connection, Any], Event | Sequence[Event] | None]
#: Returns if the caller of the connection may follow the topic.
#:
#: Raises:
#:     Forbidden, NotFound: the caller may not, or there is no such topic.
Authorise = Callable[[Connection, str], None]
#: Returns the whole state of the topic for the caller, bounded. Called before and again after the subscription.
Snapshot = Callable[[Connection, str], Mapping[str, Any]]
#: Called at each ping of a connection; returns events that follow the answer, to this connection alone.
Pinged = Callable[[Connection], Sequence[Event]]


@dataclass(frozen=True, slots=True)
class Action:
    """A kind of frame that clients may send."""

    #: The member ``action`` of the frame.
    name: str
    model: type[Frame]
    handle: Handle


@dataclass(frozen=True, slots=True)
class Topic:
    """A thing that connections may follow."""

    #: The whole name (``inbox``), or with a colon at its end the beginning of names (``progress:``).
    prefix: str
    authorise: Authorise
    snapshot: Snapshot

    def matches(self, name: str) -> bool:
        """Return whether *name* is a topic of this kind."""
        return name.startswith(self.prefix) and name != self.prefix if self.prefix[-1] == ":" else name == self.prefix


_actions: dict[str, Action] = {}
_topics: list[Topic] = []
_pings: list[Pinged] = []


def declare(actions: Iterable[Action], topics: Iterable[Topic], pings: Iterable[Pinged] = ()) -> None:
    """Register the slices' actions, topics and functions for pings.

    `chalicelib.slices` calls this once, when assembling the application.
    """
    _actions.update({action.name: action for action in actions})
    _topics.extend(topics)
    _pings.extend(pings)


def pinged(connection: Connection) -> list[Event]:
    """Return the events of all slices that follow the answer to a ping."""
    return [event for ping in _pings for event in ping(connection)]


def action_named(name: str) -> Action | None:
    """Return the action *name*, or None."""
    return _actions.get(name)


def topic_named(name: str) -> Topic | None:
    """Return the topic of *name*, or None."""
    return next((topic for topic in _topics if topic.matches(name)), None)


def error_event(error: ServiceError, request_id: str, frame_id: str | None = None) -> Event:
    """Return *error* as an event: the members of its problem, and the id of the frame, if the frame has one."""
    return {"event": "error", **error.problem(request_id), **({"id": frame_id} if frame_id else {})}
