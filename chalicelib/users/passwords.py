"""Passwords: argon2id with the first parameters of OWASP's Password Storage Cheat Sheet."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

#: A hash of an unused password, with the same parameters: checking an unknown user takes as long as a known user.
_UNMATCHED_HASH = "$argon2id$v=19$m=19456,t=2,p=1$ys+61TGfqvP03hmh/yeuUg$jFYKvWEOe1Ui5aF5ogyWvBbXEwnIsl+MPytIW5LQj/0"


def hashed(password: str) -> str:
    """Return a salted hash of *password*."""
    return _HASHER.hash(password)


def matches(password: str, password_hash: str | None) -> bool:
    """Return whether *password* matches *password_hash*. A hash of None never matches, and takes the same time."""
    try:
        return _HASHER.verify(password_hash or _UNMATCHED_HASH, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False
