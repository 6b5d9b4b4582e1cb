"""Handles a frame: checks its sender, calls the handler of its action, and sends the events that answer it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic_core import from_json

from chalicelib import sessions
from chalicelib.core import errors
from chalicelib.core.runtime import logs
from chalicelib.core.web import frames, requests
from chalicelib.core.web.frames import Connection, Event
from chalicelib.sockets import wiring
from chalicelib.sockets.close import close
from chalicelib.sockets.delivery import answer
from chalicelib.sockets.errors import FrameTooLarge, NotAFrame, UnknownAction
from chalicelib.sockets.models import LARGEST_FRAME_BYTES


class _Read(NamedTuple):
    """The action and the id of a frame, None where the frame has none."""

    action: str | None = None
    id: str | None = None


def receive(connection_id: str, body: str, request_id: str) -> None:
    """Handle the frame *body*. A faulty frame is answered by an ``error`` event, and the connection stays.

    Every frame checks the session. A frame whose session has ended closes the connection, and so does a frame of a
    connection that is not stored.
    """
    read = _read(body)
    try:
        connection = _sender(connection_id)
        if connection is None:
            close([connection_id])
            return
        logs.line().add(user=connection.caller.username, action=read.action)
        events = _handled(connection, read, body)
    except errors.ServiceError as error:
        logs.line().add(error=error.code)
        events = [frames.error_event(error, request_id)]
    except Exception as error:  # noqa: BLE001 # the edge of a frame: no detail of a bug may reach a client
        logs.failed("frame_failed", error)
        events = [frames.error_event(errors.ServiceError("Something went wrong on our side."), request_id)]
    for event in events:
        if not answer(connection_id, event, read.id):
            return


def _sender(connection_id: str) -> Connection | None:
    """Return the connection with its caller as of now; None if it is not stored, or its session has ended."""
    held = wiring.store().seen(connection_id)
    caller = sessions.again(held.caller) if held else None
    return Connection(connection_id, caller) if caller else None


def _read(body: str) -> _Read:
    """Return action and id of the frame *body*, for the answer to a frame that is faulty elsewhere. Never raises."""
    try:
        found = from_json(body)
    except ValueError:
        return _Read()
    if not isinstance(found, Mapping):
        return _Read()
    named = (found.get(name) for name in _Read._fields)
    return _Read(*(text if isinstance(text, str) else None for text in named))


def _handled(connection: Connection, read: _Read, body: str) -> Sequence[Event]:
    """Call the handler of the frame's action, and return the events that answer the frame.

    Raises:
        FrameTooLarge, NotAFrame, UnknownAction, Invalid: the frame is faulty.
        ServiceError: see the action.
    """
    if len(body.encode(errors="replace")) > LARGEST_FRAME_BYTES:
        raise FrameTooLarge
    if read.action is None:
        raise NotAFrame
    action = frames.action_named(read.action)
    if action is None:
        raise UnknownAction
    frame = requests.validated(lambda: action.model.model_validate_json(body, by_alias=True, by_name=False))
    events = action.handle(connection, frame)
    if events is None:
        return ()
    return (events,) if isinstance(events, Mapping) else events
