"""What schemathesis cannot read from a description: whom to leave alone, how long to wait, what else is refused."""

import os
from http import HTTPStatus
from itertools import count
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure

Case = schemathesis.Case[Any]

#: Users whose sessions the run itself and other tests live on; calls that would end them go to nobody.
_SPARED = frozenset(os.environ.get("FUZZ_SPARED", "").split(","))
_NOBODY = {"username": "nobody-of-that-name", "sessionId": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}
#: Nobody answers, so few calls are held, and those as briefly as their limits allow.
_HELD_EVERY = 10
_SHORTEST_HELD_MS, _SHORTEST_WAIT_MS = 1_000, 100
_LONGEST_HELD_MS = 25_000
#: What is valid here depends on a signature, a clock, another field or what is stored: no description can say it.
_BEYOND_DESCRIPTION = frozenset(
    {"cursor", "page", "items", "action", "Idempotency-Key", "If-Match"}
    | {"callbackUrl", "escalateTo", "required", "expiresAt"}
)

_asked = count()


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Spare users and sessions; shorten waits. What is invalid stays so."""
    if case.method in {"DELETE", "PATCH"}:
        _spare(case.path_parameters or {})
    if case.path == "/send-notification" and isinstance(case.body, dict) and case.body.get("wait", True) is True:
        _hold_briefly(case.body)
    query = case.query or {}
    if _within(query.get("waitMs"), _SHORTEST_WAIT_MS):
        query["waitMs"] = type(query["waitMs"])(_SHORTEST_WAIT_MS)


@schemathesis.hook
def filter_failure(context: schemathesis.HookContext, failure: Failure, case: Case, response: Any) -> bool:
    """Keep a failure, unless a field was refused for a reason beyond any description."""
    # A version may be named in either of two places, and must be in one.
    if response.status_code == HTTPStatus.PRECONDITION_REQUIRED:
        return False
    if response.status_code != HTTPStatus.UNPROCESSABLE_ENTITY:
        return True
    return not {error["path"] for error in response.json()["errors"]} <= _BEYOND_DESCRIPTION


def _spare(params: dict[str, Any]) -> None:
    if params.get("username") in _SPARED:
        params["username"] = _NOBODY["username"]
    # Any session that is there is somebody's.
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
