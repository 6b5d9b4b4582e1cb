"""What an API key looks like: ``hfk_<user>.<key id>.<secret>``.

The user's name is in it, so that the user and the key are one read of one item. What is stored is a hash.
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
    """Whose key it is by its own word, which proves nothing."""

    username: str
    key_id: str


def made(username: str, key_id: str) -> str:
    """Return a new key: 256 random bits behind its names."""
    name = urlsafe_b64encode(username.encode()).decode().rstrip("=")
    return f"{PREFIX}{name}.{key_id}.{secrets.token_urlsafe(32)}"


def read(key: str) -> Named | None:
    """Return what *key* says of itself, or None where it cannot be one."""
    if (found := _SHAPE.fullmatch(key)) is None:
        return None
    name, key_id = found.groups()
    try:
        return Named(urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode(), key_id)
    except ValueError:
        return None


def digest(key: str) -> str:
    """Return the hash that is stored."""
    # The secret is 256 random bits, so a plain hash is enough: there is nothing to guess.
    return hashlib.sha256(key.encode()).hexdigest()


def matches(key: str, stored: str) -> bool:
    """Return whether *stored* is the hash of *key*; as slow for a near miss as for any other."""
    return hmac.compare_digest(digest(key), stored)
