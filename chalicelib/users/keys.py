"""The format of API keys: ``hfk_<user>.<key id>.<secret>``.

A key contains the user's name, so one read of one item finds both user and key. Only a hash of the key is stored.
"""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

PREFIX = "hfk_"
_SHAPE = re.compile(PREFIX + r"([A-Za-z0-9_-]{2,340})\.([0-9A-HJKMNP-TV-Z]{26})\.[A-Za-z0-9_-]{43}")


class Named(NamedTuple):
    """The user and key id claimed by a key; unverified."""

    username: str
    key_id: str


def new_key(username: str, key_id: str) -> str:
    """Return a new key: encoded username, key id, and 256 random bits."""
    name = urlsafe_b64encode(username.encode()).decode().rstrip("=")
    return f"{PREFIX}{name}.{key_id}.{secrets.token_urlsafe(32)}"


def read(key: str) -> Named | None:
    """Return the user and key id claimed by *key*, or None if *key* is malformed."""
    if (found := _SHAPE.fullmatch(key)) is None:
        return None
    name, key_id = found.groups()
    try:
        return Named(urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode(), key_id)
    except ValueError:
        return None


def digest(key: str) -> str:
    """Return the hash of *key*, as stored."""
    # The secret has 256 random bits and cannot be guessed, so a plain hash is enough.
    return hashlib.sha256(key.encode()).hexdigest()


def matches(key: str, stored: str) -> bool:
    """Return whether *stored* is the hash of *key*, in constant time."""
    return hmac.compare_digest(digest(key), stored)
