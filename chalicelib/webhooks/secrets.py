"""Secrets of webhooks: derived, so that none lies in a store, a stream, a history or an event (no I/O of its own).

A secret is the HMAC of the deployment's key over the webhook's id and the generation of its secret. A rotation raises
the generation, and both secrets sign for a day.
"""

import base64
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta

from chalicelib.core.records.models import Doc
from chalicelib.core.stores import clients


def secret_of(webhook_id: str, generation: int) -> str:
    """Return the secret in the form shown to users: ``whsec_`` and 32 bytes in base64."""
    key = hmac.digest(clients.signing_key("webhooks"), f"{webhook_id}/{generation}".encode(), "sha256")
    return f"whsec_{base64.b64encode(key).decode()}"


def signing(
    webhook_id: str, doc: Doc, now: datetime, kept: timedelta, of: Callable[[str, int], str] = secret_of
) -> list[str]:
    """Return the secrets that sign at *now*: the present one, and for *kept* after a rotation the one before."""
    generations = [doc["generation"]]
    rotated = doc.get("rotatedAt")
    if rotated is not None and now - datetime.fromisoformat(rotated) < kept:
        generations.append(doc["generation"] - 1)
    return [of(webhook_id, generation) for generation in generations]
