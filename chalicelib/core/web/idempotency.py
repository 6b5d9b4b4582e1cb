"""Idempotency-Key: a repeated call gets the stored response, and the work is done once.

The key is a claim (idempotency record) of account and route. The claim's resource id is the operation's id. A handler
marks everything that the handler creates or moves with the operation's id, so a retry after a crash finds earlier work.
The response is stored with the claim. For a response too large to store, a retry calls the handler again, and
the handler recognises its work.

The claim keeps a fingerprint of path and body. Bodies are compared as JSON: spaces, the order of names, and 1 or 1.0
make no difference. A body may hold a password, so the fingerprint is keyed with the deployment's own key.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Any

from chalice.app import Response

from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.coordination.errors import (
    AlreadyDone,
    ClaimLost,
    KeyReused,
    OtherRequest,
    ShownOnce,
    StillAnswering,
    StillRunning,
)
from chalicelib.core.errors import ServiceError, Unavailable
from chalicelib.core.records.models import packed
from chalicelib.core.runtime import logs
from chalicelib.core.stores import clients
from chalicelib.core.web.dispatch import Keyed, Perform
from chalicelib.core.web.requests import IDEMPOTENCY_KEY
from chalicelib.core.web.routes import Operation

_KEPT_SECONDS = 24 * 3600
#: An item of DynamoDB holds 400 KB; the rest of the claim is small.
_LARGEST_BYTES = 300_000


def answer(call: Keyed, perform: Perform) -> Response:
    """Return the response of *perform*, or the stored response of an earlier call with the same key.

    A call that ended in an error is performed anew. *perform* runs again after a crash, with the same `Operation.id`.

    Raises:
        KeyReused: the key was used for another request.
        StillAnswering: the first call is still running.
        ShownOnce: the call was answered with a secret, so the response was not stored.
    """
    claims, key = coordination.claims(), _digest([call.caller, call.endpoint.method, call.endpoint.path, call.key])
    try:
        claim = claims.begin(
            key, ttl_seconds=_KEPT_SECONDS, fingerprint=_fingerprint(call), former=lambda: _former_fingerprint(call)
        )
    except OtherRequest:
        raise KeyReused(IDEMPOTENCY_KEY) from None
    except StillRunning:
        raise StillAnswering from None
    except AlreadyDone as done:
        return _replayed(done.result, perform)
    try:
        response = perform(Operation(claim.resource_id, repeated=claim.taken_over))
    except Exception:
        _abandon(claim)
        raise
    _finish(call, claim, response)
    return response


def _replayed(stored: str, perform: Perform) -> Response:
    record = json.loads(stored)
    if record.get("secret"):
        raise ShownOnce
    if "operation" in record:
        response = perform(Operation(record["operation"], repeated=True))
    else:
        response = Response(body=record["body"], status_code=record["status"], headers=record["headers"])
    response.headers["Idempotency-Replayed"] = "true"
    logs.line().count("callsReplayed")
    return response


def _finish(call: Keyed, claim: Claim, response: Response) -> None:
    try:
        coordination.claims().finish(claim, _to_store(call, claim, response))
    except (ClaimLost, Unavailable) as error:
        # The work is done and recognised by its id, so the response is valid. A secret is not: the attempt that took
        # over has made another secret.
        logs.line().count("answersNotKept")
        if call.endpoint.secret and isinstance(error, ClaimLost):
            raise


def _to_store(call: Keyed, claim: Claim, response: Response) -> str:
    if call.endpoint.secret:
        return json.dumps({"secret": True})
    stored = json.dumps({"status": response.status_code, "headers": dict(response.headers), "body": response.body})
    return stored if len(stored) <= _LARGEST_BYTES else json.dumps({"operation": claim.resource_id})


def _abandon(claim: Claim) -> None:
    try:
        coordination.claims().abandon(claim)
    except ServiceError:
        # The caller gets the first error; the lease expires anyway.
        logs.line().count("claimsNotAbandoned")


def _fingerprint(call: Keyed) -> str:
    """Return a keyed hash of path and body, the same for bodies that are the same JSON value."""
    content = _digest([call.path.encode(errors="replace"), _canonical(call.body)])
    return hmac.digest(clients.signing_key("idempotency"), content.encode(), "sha256").hex()


def _former_fingerprint(call: Keyed) -> str:
    """Return the fingerprint that earlier versions stored: without a key, of the body's bytes."""
    return _digest([f"{call.path}\n".encode(errors="replace") + call.body])


def _canonical(body: bytes) -> bytes:
    try:
        # A missing body counts as an empty object, as for a handler.
        value = json.loads(body or b"{}", parse_float=_number, parse_constant=_number)
        return packed(value).encode()
    except (ValueError, RecursionError):
        # Only a route without a model of the body gets here: text that is no JSON is its bytes.
        return body


def _number(text: str) -> Any:
    value = float(text)
    return int(value) if value.is_integer() else value


def _digest(parts: Iterable[str | bytes]) -> str:
    """Return a hash that is unique to *parts* and their order."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part if isinstance(part, bytes) else part.encode()).digest())
    return whole.hexdigest()
