"""Admits the receiver of a webhook, whose secret signs a call in place of a session."""

from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.rates import Limit
from chalicelib.core.egress import signatures
from chalicelib.core.errors import TooMany
from chalicelib.core.models import Id
from chalicelib.core.web import Caller
from chalicelib.core.web.signed import Signed
from chalicelib.core.web.source import network_of
from chalicelib.webhooks import secrets, wiring
from chalicelib.webhooks.errors import WebhookNotFound, WrongSignature

#: Signed calls of one source address within a minute, right or wrong, for all webhooks.
_CALLS = Limit(tokens=600, period_ms=60_000)
_ID: TypeAdapter[str] = TypeAdapter(Id)


def admit(asked: Signed) -> Caller:
    """Return the webhook of the path as the caller, if one of its valid secrets signed the call. It has no role.

    The signature must be of the call's own method, path and query, and at most five minutes old. For an unknown
    webhook the error is the same as for a wrong signature. Signatures are compared in constant time.

    Raises:
        WrongSignature: no valid secret of the webhook signed this call within five minutes.
        TooMany: the source address made 600 signed calls within a minute; nothing was verified.
    """
    _take(asked)
    now = datetime.now(UTC)
    try:
        webhook_id = _ID.validate_python(asked.params["webhook_id"])
        doc = wiring.store().get(webhook_id).doc
        known = secrets.signing(webhook_id, doc, now, timedelta(hours=wiring.options().rotation_hours))
        signatures.verify(known, asked.text.encode(), asked.headers, now)
    except (ValidationError, WebhookNotFound, signatures.InvalidSignature) as error:
        raise WrongSignature from error
    return Caller(username=f"webhook/{webhook_id}", roles=frozenset(), account_id=webhook_id)


def _take(asked: Signed) -> None:
    """Take a token of the source address.

    Raises:
        TooMany: no token is due.
    """
    source = network_of(asked.source) if asked.source else "unknown"
    taken = coordination.rates().take(f"signed-from/{source}", _CALLS)
    if not taken.ok:
        raise TooMany(retry_after_seconds=-(-taken.retry_after_ms // 1000))
