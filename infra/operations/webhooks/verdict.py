"""Says whether a delivery is verified, and which part does not fit. `signatures.verify` decides, this explains."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.core.egress import signatures
from chalicelib.core.egress.signatures import InvalidSignature

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
#: The verdicts. A verdict of a delivery that is not verified goes on with the reason.
VERIFIED, NOT_VERIFIED, NO_SECRET = "verified", "NOT verified: ", "no secret given"


def verdict(
    secrets: Sequence[str], body: bytes, headers: Mapping[str, str], now: datetime, *, any_time: bool = False
) -> str:
    """Return the verdict on *body* as it came, byte for byte. Header names match in any case.

    With *any_time* the age of the signature does not count. Without secrets the verdict is `NO_SECRET`.
    """
    if not secrets:
        return NO_SECRET
    given = {name.lower(): value for name, value in headers.items()}
    moment = (signed_at(given) or now) if any_time else now
    if _verified(secrets, body, given, moment):
        return VERIFIED
    return NOT_VERIFIED + _reason(secrets, body, given, now)


def signed_at(headers: Mapping[str, str]) -> datetime | None:
    """Return the time of signing that *headers*, with names in lower case, state; None if they state no time."""
    text = headers.get(TIMESTAMP, "")
    if text.isascii() and text.isdigit():
        with suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(int(text), UTC)
    return None


def is_secret(text: str) -> bool:
    """Whether *text* has the form of a secret."""
    try:
        signatures.sign(text, "form", datetime.fromtimestamp(1, UTC), b"")
    except ValueError:
        return False
    return True


def _verified(secrets: Sequence[str], body: bytes, headers: Mapping[str, str], moment: datetime) -> bool:
    try:
        signatures.verify(secrets, body, headers, moment)
    except InvalidSignature:
        return False
    return True


def _reason(secrets: Sequence[str], body: bytes, headers: Mapping[str, str], now: datetime) -> str:
    """Return which part does not fit; the age is named only if everything else fits."""
    if missing := [name for name in (ID, TIMESTAMP, SIGNATURE) if not headers.get(name)]:
        return f"the header {' and the header '.join(missing)} is missing"
    signed = signed_at(headers)
    if signed is None:
        return f"{TIMESTAMP} is no time: it must be whole seconds since 1970"
    if _verified(secrets, body, headers, signed):
        return f"{_age(now - signed)}, and receivers allow five minutes; --any-time ignores the age"
    if not any(signature.startswith("v1,") for signature in headers[SIGNATURE].split(" ")):
        return f"{SIGNATURE} has no signature of the version v1, such as v1,K5oZ…"
    for change, original in _originals(body):
        if _verified(secrets, original, headers, signed):
            return f"the body was changed: {change}. Verify the raw bytes, before parsing"
    return "no signature fits: the secret is another webhook's, or the id, the timestamp or the body was changed"


def _originals(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what often happens to a body on its way, with the body as it was before."""
    yield "a line end was added", body.rstrip(b"\r\n")
    with suppress(ValueError, RecursionError):
        document = json.loads(body)
        for plain in (False, True):
            yield (
                "the JSON was parsed and written anew",
                json.dumps(document, separators=(",", ":"), ensure_ascii=plain).encode(errors="replace"),
            )


def _age(age: timedelta) -> str:
    length = timedelta(seconds=abs(round(age.total_seconds())))
    if age < timedelta():
        return f"signed {length} (h:mm:ss) ahead of this machine's clock"
    return f"signed {length} (h:mm:ss) ago"
