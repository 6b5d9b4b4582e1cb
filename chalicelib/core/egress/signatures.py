"""Signatures of what we send: Standard Webhooks 1.0.0, its symmetric scheme (HMAC-SHA256, ``v1``).

The library makes the signature. What it is given is checked here, as it takes any datetime for UTC and any text for a
message id; its own ``verify`` is not used, as it raises whatever malformed input makes it raise, reads the clock itself
and is lenient about base64 and numbers.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from secrets import token_bytes

from standardwebhooks import Webhook

from chalicelib.core.errors import Forbidden

_TOLERANCE = timedelta(minutes=5)
_PREFIX = "whsec_"
#: Bounds of a secret in bytes, as the specification has them.
_SHORTEST_SECRET, _LONGEST_SECRET = 24, 64
_SECRET_BYTES = 32
#: What a header can carry, without the full stop: with one, part of a timestamp could be moved into the id, and the
#: signed text would be the same.
_ID = re.compile(r"[!-\-/-~]{1,256}")
#: Seconds as `int` writes them: no sign, no leading zero, no exponent; enough of them for the year 9999.
_SECONDS = re.compile(r"[1-9][0-9]{0,11}")
_LAST_SECOND = 253_402_300_799
_NAIVE = "A time needs a time zone."


class InvalidSignature(Forbidden):
    """The signature is missing, too old, or not ours."""


def new_secret(random_bytes: Callable[[int], bytes] = token_bytes) -> str:
    """Return a secret for one endpoint, in the form that is shown to people."""
    return _PREFIX + base64.b64encode(random_bytes(_SECRET_BYTES)).decode()


def sign(secret: str, message_id: str, timestamp: datetime, body: bytes) -> str:
    """Return the signature of *body*, sent under *message_id* in the second of *timestamp*.

    Raises:
        ValueError: *secret* is not one of ours, *message_id* has a full stop or does not fit a header, *timestamp* has
            no time zone, or *body* is not UTF-8.
    """
    if not _ID.fullmatch(message_id):
        raise ValueError("A message id is printable ASCII without spaces and full stops.")
    return Webhook(_key(secret)).sign(message_id, _second(timestamp), body.decode())


def headers(secrets: Sequence[str], message_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers that go with *body*, signed with each of *secrets*: two while one replaces another.

    Raises:
        ValueError: as `sign` does, or there is no secret.
    """
    if not secrets:
        raise ValueError("Without a secret there is no signature.")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(_second(timestamp).timestamp())),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }


def verify(secrets: Sequence[str], body: bytes, headers: Mapping[str, str], now: datetime) -> None:
    """Return if one of *secrets* signed *body* within five minutes of *now*; header names in any case.

    Raises:
        InvalidSignature: in every other case, whatever *body* and *headers* hold. An unusable secret signs nothing.
        ValueError: *now* has no time zone, which is a mistake of ours.
    """
    if now.utcoffset() is None:
        raise ValueError(_NAIVE)
    given = {name.lower(): value for name, value in headers.items()}
    sent = _sent(given.get("webhook-timestamp", ""))
    if abs(now - sent) > _TOLERANCE:
        raise InvalidSignature
    signatures = given.get("webhook-signature", "").split(" ")
    expected = list(_expected(secrets, given.get("webhook-id", ""), sent, body))
    if not any(_same(mine, theirs) for mine in expected for theirs in signatures):
        raise InvalidSignature


def _key(secret: str) -> bytes:
    """Return the bytes of *secret*, of which there is one spelling only."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    canonical = _PREFIX + base64.b64encode(key).decode()
    if secret != canonical or not _SHORTEST_SECRET <= len(key) <= _LONGEST_SECRET:
        # Without the text: it may be most of a secret.
        raise ValueError("A secret is whsec_ and 24 to 64 bytes in base64.")
    return key


def _second(time: datetime) -> datetime:
    """Return the second of *time* in UTC; the library would replace a time zone instead of converting."""
    if time.utcoffset() is None:
        raise ValueError(_NAIVE)
    return time.astimezone(UTC).replace(microsecond=0)


def _sent(seconds: str) -> datetime:
    if not _SECONDS.fullmatch(seconds) or int(seconds) > _LAST_SECOND:
        raise InvalidSignature
    return datetime.fromtimestamp(int(seconds), UTC)


def _expected(secrets: Iterable[str], message_id: str, sent: datetime, body: bytes) -> Iterable[str]:
    for secret in secrets:
        try:
            yield sign(secret, message_id, sent, body)
        except ValueError:
            continue


def _same(mine: str, theirs: str) -> bool:
    """Compare in constant time, as texts: base64 has many spellings for the same bytes."""
    # Text outside ASCII could not be compared, and lone surrogates not even encoded.
    return theirs.isascii() and compare_digest(mine, theirs)
