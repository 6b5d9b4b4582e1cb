"""Signatures of messages: the symmetric scheme of Standard Webhooks 1.0.0 (HMAC-SHA256, ``v1``).

The library makes the signature. This module checks the library's input, as the library takes any datetime for UTC and
any text for a message id. The library's ``verify`` is not used: malformed input raises arbitrary errors, the clock
cannot be passed in, and base64 and numbers are read leniently.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from secrets import token_bytes

from chalicelib.core.errors import Forbidden

_TOLERANCE = timedelta(minutes=5)
_PREFIX = "whsec_"
#: The specification's bounds of a secret, in bytes.
_SHORTEST_SECRET, _LONGEST_SECRET = 24, 64
_SECRET_BYTES = 32
#: The characters of a header, without the full stop: with a full stop, part of a timestamp could be moved into the id
#: without a change of the signed text.
_ID = re.compile(r"[!-\-/-~]{1,256}")
#: Seconds in the form in which `str` writes an int: no sign, no leading zero, no exponent; up to the year 9999.
_SECONDS = re.compile(r"[1-9][0-9]{0,11}")
_LAST_SECOND = 253_402_300_799
_NAIVE = "A time needs a time zone."


class InvalidSignature(Forbidden):
    """The signature is missing, too old, or invalid."""


def new_secret(random_bytes: Callable[[int], bytes] = token_bytes) -> str:
    """Return a secret for one endpoint, in the form shown to users."""
    return _PREFIX + base64.b64encode(random_bytes(_SECRET_BYTES)).decode()


def sign(secret: str, message_id: str, timestamp: datetime, body: bytes) -> str:
    """Return the signature of *body*, sent under *message_id* in the second of *timestamp*.

    Raises:
        ValueError: *secret* is malformed, *message_id* has a full stop or does not fit a header, *timestamp* has
            no time zone, or *body* is not UTF-8.
    """
    from standardwebhooks import Webhook  # noqa: PLC0415 # only calls to other systems need the library

    if not _ID.fullmatch(message_id):
        raise ValueError("A message id is printable ASCII without spaces and full stops.")
    return Webhook(_key(secret)).sign(message_id, _second(timestamp), body.decode())


def headers(secrets: Sequence[str], message_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers that go with *body*, signed with each of *secrets*: two during a rotation.

    Raises:
        ValueError: as `sign`, or *secrets* is empty.
    """
    if not secrets:
        raise ValueError("Without a secret there is no signature.")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(_second(timestamp).timestamp())),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }


def verify(secrets: Sequence[str], body: bytes, headers: Mapping[str, str], now: datetime) -> None:
    """Return if one of *secrets* signed *body* within five minutes of *now*. Header names match in any case.

    Raises:
        InvalidSignature: in every other case, for any *body* and *headers*. A malformed secret matches no signature.
        ValueError: *now* has no time zone, which is a bug of the caller.
    """
    if now.utcoffset() is None:
        raise ValueError(_NAIVE)
    given = {name.lower(): value for name, value in headers.items()}
    sent = _sent(given.get("webhook-timestamp", ""))
    if abs(now - sent) > _TOLERANCE:
        raise InvalidSignature
    signatures = given.get("webhook-signature", "").split(" ")
    expected = list(_expected(secrets, given.get("webhook-id", ""), sent, body))
    if not any(_same(wanted, received) for wanted in expected for received in signatures):
        raise InvalidSignature


def _key(secret: str) -> bytes:
    """Return the bytes of *secret*; only the canonical spelling is accepted."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    canonical = _PREFIX + base64.b64encode(key).decode()
    if secret != canonical or not _SHORTEST_SECRET <= len(key) <= _LONGEST_SECRET:
        # Without the text, which may be most of a secret.
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


def _same(wanted: str, received: str) -> bool:
    """Compare in constant time, as texts: base64 has many spellings for the same bytes."""
    # Text outside ASCII could not be compared, and lone surrogates not even encoded.
    return received.isascii() and compare_digest(wanted, received)
