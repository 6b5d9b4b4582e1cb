"""Facts that schemathesis cannot read from a description: users to spare, short waits, further refusals."""

import os
from http import HTTPStatus
from itertools import count
from typing import Any

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure

Case = schemathesis.Case[Any]

#: Users with sessions that this run and other tests need; calls that would end them are sent to an unknown user.
_SPARED = frozenset(os.environ.get("FUZZ_SPARED", "").split(","))
_NOBODY = {"username": "nobody-of-that-name", "sessionId": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}
#: No person answers, so a tenth of the calls waits, for the shortest time allowed.
_HELD_EVERY = 10
_SHORTEST_HELD_MS, _SHORTEST_WAIT_MS = 1_000, 100
_LONGEST_HELD_MS = 25_000
#: Fields whose validity depends on a signature, a clock, Unicode's tables, another field or stored data, beyond any
#: description.
_BEYOND_DESCRIPTION = frozenset(
    {"cursor", "page", "items", "action", "Idempotency-Key", "If-Match"}
    | {"callbackUrl", "url", "escalateTo", "required", "expiresAt", "password", "expectedCount"}
)

_asked = count()


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Spare users and sessions, and shorten waits. Invalid values stay invalid."""
    if case.method in {"DELETE", "PATCH"}:
        _spare(case.path_parameters or {})
    if case.path == "/send-notification" and isinstance(case.body, dict) and case.body.get("wait", True) is True:
        _hold_briefly(case.body)
    query = case.query or {}
    if _within(query.get("waitMs"), _SHORTEST_WAIT_MS):
        query["waitMs"] = type(query["waitMs"])(_SHORTEST_WAIT_MS)


@schemathesis.hook
def filter_failure(context: schemathesis.HookContext, failure: Failure, case: Case, response: Any) -> bool:
    """Keep a failure, except the refusal of a field for a reason beyond any description."""
    # The batch answers each message for itself.
    if case.path == "/api/messages/batch" and isinstance(failure, AcceptedNegativeData):
        return False
    # A stream answers 200 whatever happens: its refusals are events.
    if response.status_code == HTTPStatus.OK and "text/event-stream" in str(response.headers.get("content-type")):
        return False
    # No mailed link has a token of a guess.
    if case.path == "/api/password" and response.status_code == HTTPStatus.GONE:
        return False
    # A version must be in the header or the body.
    if response.status_code == HTTPStatus.PRECONDITION_REQUIRED:
        return False
    if response.status_code != HTTPStatus.UNPROCESSABLE_ENTITY:
        return True
    paths = {error["path"] for error in response.json()["errors"]}
    # A progress takes either counters or increments: the path of the whole body.
    return not paths <= (_BEYOND_DESCRIPTION | ({""} if case.path == "/api/progress/{jobId}" else set()))


def _spare(params: dict[str, Any]) -> None:
    if params.get("username") in _SPARED:
        params["username"] = _NOBODY["username"]
    # Any existing session belongs to another test.
    if "sessionId" in params and len(str(params["sessionId"])) == len(_NOBODY["sessionId"]):
        params["sessionId"] = _NOBODY["sessionId"]


def _hold_briefly(body: dict[str, Any]) -> None:
    if not _within(body.get("timeoutMs", _LONGEST_HELD_MS), _SHORTEST_HELD_MS):
        return
    if next(_asked) % _HELD_EVERY:
        body["wait"] = False
    else:
        body["timeoutMs"] = _SHORTEST_HELD_MS


def _within(wanted: Any, shortest_ms: int) -> bool:
    return str(wanted).isdecimal() and shortest_ms <= int(wanted) <= _LONGEST_HELD_MS
