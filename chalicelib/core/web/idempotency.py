"""Idempotency-Key: a call that is made again is answered as it was, and does nothing a second time.

The key is a claim of its caller and route. Its resource id is the operation's id: whatever a handler makes or moves, it
marks with that, so that a retry whose first attempt died half-way finds its own work. The answer is kept with the
claim; where it cannot be, the retry asks the handler again, which recognises what it did.
"""

import hashlib
import json
from collections.abc import Iterable

from chalice.app import Response

from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.coordination.errors import (
    AlreadyDone,
    ClaimLost,
    OtherRequest,
    ShownOnce,
    StillAnswering,
    StillRunning,
)
from chalicelib.core.errors import FieldError, Invalid, ServiceError, Unavailable
from chalicelib.core.runtime import logs
from chalicelib.core.web.dispatch import Keyed, Perform
from chalicelib.core.web.requests import IDEMPOTENCY_KEY
from chalicelib.core.web.routes import Operation

_KEPT_SECONDS = 24 * 3600
#: DynamoDB holds 400 KB in an item; the rest of the claim is small.
_LARGEST_BYTES = 300_000


def answer(call: Keyed, perform: Perform) -> Response:
    """Return what *perform* answers, or what it answered when the call was made before.

    A call that ended in an error is performed anew. *perform* runs again after a crash, with the same `Operation.id`.

    Raises:
        Invalid: the key was used for another request.
        StillAnswering: the first call is within its time.
        ShownOnce: it was answered, and that answer was not kept.
    """
    claims, key = coordination.claims(), _digest([call.caller, call.endpoint.method, call.endpoint.path, call.key])
    try:
        claim = claims.begin(key, ttl_seconds=_KEPT_SECONDS, fingerprint=_digest([call.content]))
    except OtherRequest:
        raise Invalid([FieldError(IDEMPOTENCY_KEY, "was used for another request")]) from None
    except StillRunning:
        raise StillAnswering from None
    except AlreadyDone as done:
        return _again(done.result, perform)
    try:
        given = perform(Operation(claim.resource_id, repeated=claim.taken_over))
    except Exception:
        _abandon(claim)
        raise
    _finish(call, claim, given)
    return given


def _again(kept: str, perform: Perform) -> Response:
    stored = json.loads(kept)
    if stored.get("secret"):
        raise ShownOnce
    if "operation" in stored:
        given = perform(Operation(stored["operation"], repeated=True))
    else:
        given = Response(body=stored["body"], status_code=stored["status"], headers=stored["headers"])
    given.headers["Idempotency-Replayed"] = "true"
    logs.line().count("callsReplayed")
    return given


def _finish(call: Keyed, claim: Claim, given: Response) -> None:
    try:
        coordination.claims().finish(claim, _kept(call, claim, given))
    except (ClaimLost, Unavailable) as error:
        # The work is done and recognised by its id, so the answer stands. Not so a secret: whoever took over has
        # made another in its place.
        logs.line().count("answersNotKept")
        if call.endpoint.secret and isinstance(error, ClaimLost):
            raise


def _kept(call: Keyed, claim: Claim, given: Response) -> str:
    if call.endpoint.secret:
        return json.dumps({"secret": True})
    kept = json.dumps({"status": given.status_code, "headers": dict(given.headers), "body": given.body})
    return kept if len(kept) <= _LARGEST_BYTES else json.dumps({"operation": claim.resource_id})


def _abandon(claim: Claim) -> None:
    try:
        coordination.claims().abandon(claim)
    except ServiceError:
        # The caller is told what went wrong first; the lease ends by itself.
        logs.line().count("claimsNotAbandoned")


def _digest(parts: Iterable[str | bytes]) -> str:
    """Return a hash of *parts* that no other parts have."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part if isinstance(part, bytes) else part.encode()).digest())
    return whole.hexdigest()
