"""Sends events: to the open connections of an account, or in answer to a frame."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pydantic_core import to_json

from chalicelib import sessions
from chalicelib.core.errors import ServiceError
from chalicelib.core.runtime import logs
from chalicelib.core.web.frames import Event
from chalicelib.sockets import wiring
from chalicelib.sockets.models import LARGEST_EVENT_BYTES, Held

_AT_ONCE = 8


def push(account_id: str, event: Event) -> int:
    """Push as promised by `sockets.push`."""
    return _push_to(lambda: wiring.store().opened_of(account_id), event)


def tell(topic: str, event: Event) -> int:
    """Push as promised by `sockets.tell`."""
    return _push_to(lambda: wiring.store().following(topic), event)


def _push_to(find: Callable[[], Sequence[Held]], event: Event) -> int:
    if not wiring.reachable():
        return 0
    data = to_json(event)
    if len(data) > LARGEST_EVENT_BYTES:
        logs.logger().error("event too large", extra={"action": "push_too_large", "event": event.get("event")})
        return 0
    try:
        took = _push(find(), data)
    except ServiceError as error:
        logs.logger().warning(str(error), extra={"action": "push_failed", "event": event.get("event")})
        return 0
    logs.line().count("socketPushes", took)
    return took


def answer(connection_id: str, event: Event, frame_id: str | None) -> bool:
    """Send *event* to one connection, with the id of the frame that it answers. Return whether the connection took it.

    Never raises: a client that misses an answer asks again.
    """
    return _send_to(connection_id, to_json({**event, "id": frame_id} if frame_id else event))


def send(held: Sequence[Held], data: bytes) -> list[Held]:
    """Send *data* to the connections, concurrently, and return those that took it. Gone connections are forgotten."""
    if not held:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(held))) as pool:
        took = list(pool.map(partial(_send, data), held))
    return [each for each, taken in zip(held, took, strict=True) if taken]


def _push(held: Sequence[Held], data: bytes) -> int:
    if not held:
        return 0
    valid = sessions.valid([each.caller for each in held])
    took = send([each for each, is_valid in zip(held, valid, strict=True) if is_valid], data)
    if took:
        wiring.store().pushed(each.connection_id for each in took)
    return len(took)


def _send(data: bytes, held: Held) -> bool:
    return _send_to(held.connection_id, data)


def _send_to(connection_id: str, data: bytes) -> bool:
    try:
        if wiring.gateway().send(connection_id, data):
            return True
        wiring.store().forget(connection_id)
    except ServiceError as error:
        logs.logger().warning(str(error), extra={"action": "push_failed"})
    return False
