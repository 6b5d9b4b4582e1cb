"""Streams of events (``text/event-stream``) for a browser's stock EventSource, in buffered answers.

A function cannot stream, so an answer holds the events so far and ends. The client reconnects after the answer's
``retry``, with the id of its last event, and goes on; it cannot tell a buffered answer from a stream that broke off.

An EventSource gives up for good on every status but 200, and ends in peace on 204. So a failure that passes is an empty
answer with a longer ``retry``; a failure that stays is the event ``end`` with its reason, and then 204.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from chalice.app import Request
from pydantic_core import to_json

from chalicelib.core.errors import ServiceError
from chalicelib.core.web.routes import Answer

MEDIA = "text/event-stream"
LAST_EVENT_ID = "Last-Event-ID"
#: The id of the event ``end``: a client that has it gets 204.
_END_ID = "end"
#: The pause of a client after a failure that passes, or without a place to wait.
LONGER_RETRY_MS = 5_000
#: The pause before the request that gets 204.
_LAST_RETRY_MS = 100

#: Proxies must neither change nor keep nor collect the answer.
_HEADERS = {"Content-Type": MEDIA, "Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}

#: Ends an EventSource.
OVER = Answer(HTTPStatus.NO_CONTENT, None)

_PASSING = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR})


def event(name: str, id_: str, data: Mapping[str, Any]) -> str:
    """Return an event of a stream; *data* becomes JSON, which has no line breaks."""
    return f"event: {name}\nid: {id_}\ndata: {to_json(data).decode()}\n\n"


def answer(events: str, *, retry_ms: int) -> Answer:
    """Return the answer with *events*, after which the client reconnects when *retry_ms* have passed."""
    # The comment makes an answer without events a valid stream with a first byte.
    return Answer(HTTPStatus.OK, f": holdfast\nretry: {retry_ms}\n\n{events}", _HEADERS)


def ended(reason: str, detail: str) -> Answer:
    """Return the answer whose event ``end`` says that the stream is over, and why. The next one is 204."""
    return answer(event("end", _END_ID, {"reason": reason, "detail": detail}), retry_ms=_LAST_RETRY_MS)


def refused(error: ServiceError) -> Answer:
    """Return *error* as an answer of a stream: a longer pause for an error that passes, else the end."""
    if error.status in _PASSING:
        return answer("", retry_ms=LONGER_RETRY_MS)
    return ended(error.code, str(error))


def is_over(request: Request) -> bool:
    """Return whether the client has got the event ``end``."""
    return last_event_id(request) == _END_ID


def last_event_id(request: Request) -> str | None:
    """Return the id of the client's last event, or None."""
    found: str | None = request.headers.get(LAST_EVENT_ID)
    return found or None
