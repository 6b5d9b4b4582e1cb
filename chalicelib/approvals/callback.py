"""Callbacks: sends the outcome of a request to the address named by the caller, signed per Standard Webhooks."""

import base64
import hmac
import json
from datetime import UTC, datetime
from http import HTTPStatus

from chalicelib.approvals.models import Seen
from chalicelib.core import egress
from chalicelib.core.egress import signatures
from chalicelib.core.egress.retries import REPEATED
from chalicelib.core.errors import Invalid
from chalicelib.core.queueing.attempts import Later, Poison
from chalicelib.core.runtime import accounts, logs
from chalicelib.core.stores import clients


def secret_of(account_id: str) -> str:
    """Return the secret used to sign the account's callbacks: derived, constant and unique per account."""
    key = hmac.digest(clients.signing_key("callbacks"), accounts.derivation(account_id).encode(), "sha256")
    return f"whsec_{base64.b64encode(key).decode()}"


def send(seen: Seen) -> None:
    """Send the outcome once; without a callback address, do nothing.

    The message id is derived from the request's id, so a receiver recognises a repeat.

    Raises:
        Poison: the address refused the callback for good, or is not allowed.
        Later: the server answered with a status worth a retry; carries the pause in ``Retry-After``, if any.
        Unavailable: the address could not be reached.
    """
    if seen.callback_url is None:
        return
    approval = seen.approval
    message_id = f"approval-{approval.request_id}"
    body = _body(seen, message_id)
    headers = signatures.headers([secret_of(seen.created_by)], message_id, datetime.now(UTC), body)
    headers |= {"Content-Type": "application/json", "X-Request-Id": str(logs.line().fields.get("requestId", ""))}
    try:
        reply = egress.post(seen.callback_url, body, headers)
    except Invalid as error:
        raise Poison(str(error)) from error
    logs.line().add(callbackStatus=reply.status, callbackMs=reply.duration_ms)
    if HTTPStatus(200) <= reply.status < HTTPStatus(300):
        return
    if reply.status not in REPEATED and reply.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Poison(f"The callback address answered {reply.status}.")
    asked, sent = reply.headers.get("Retry-After"), reply.headers.get("Date")
    pause = egress.retry_after_seconds(asked, None, shortest=1, longest=egress.LONGEST_PAUSE_SECONDS, sent=sent)
    raise Later(f"The callback address answered {reply.status}.", pause)


def _body(seen: Seen, message_id: str) -> bytes:
    approval = seen.approval
    event = {
        "type": f"approval.{approval.status.value}",
        "id": message_id,
        "timestamp": approval.model_dump(mode="json")["resolvedAt"],
        "data": approval.model_dump(mode="json"),
    }
    return json.dumps(event).encode()
