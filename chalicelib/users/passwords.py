"""Passwords: argon2id with the first parameters of OWASP's Password Storage Cheat Sheet."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

#: The hash of a password nobody has, with the same parameters: an unknown user costs the same time as a known one.
_NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$ys+61TGfqvP03hmh/yeuUg$jFYKvWEOe1Ui5aF5ogyWvBbXEwnIsl+MPytIW5LQj/0"


def hashed(password: str) -> str:
    """Return a salted hash of *password*."""
    return _HASHER.hash(password)


def matches(password: str, password_hash: str | None) -> bool:
    """Return whether *password* gives *password_hash*; None never matches and takes as long."""
    try:
        return _HASHER.verify(password_hash or _NOBODYS, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False
