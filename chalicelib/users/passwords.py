"""Passwords: argon2id with the first parameters of OWASP's Password Storage Cheat Sheet.

The library is imported with the first password, as few calls have one.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from chalicelib.core.runtime.once import once
from chalicelib.users.opaque import prepared

if TYPE_CHECKING:
    from argon2 import PasswordHasher

#: A hash of an unused password, with the same parameters: checking an unknown user takes as long as a known user.
_UNMATCHED_HASH = "$argon2id$v=19$m=19456,t=2,p=1$ys+61TGfqvP03hmh/yeuUg$jFYKvWEOe1Ui5aF5ogyWvBbXEwnIsl+MPytIW5LQj/0"


class Match(Enum):
    """Whether a password matches a hash. *AS_TYPED*: the hash is of the text before preparation, and is out of date."""

    NO = auto()
    YES = auto()
    AS_TYPED = auto()


def hashed(password: str) -> str:
    """Return a salted hash of *password* as prepared by `opaque`, or as typed if the profile refuses a character."""
    return _hasher().hash(_forms(password)[0])


def match(password: str, password_hash: str | None) -> Match:
    """Return whether *password* matches *password_hash*. None and "" never match, and take the same time.

    Hashes of earlier versions are of the text as typed. A text that preparation changes is checked in both forms.
    """
    for kind, form in zip((Match.YES, Match.AS_TYPED), _forms(password), strict=False):
        if _verify(form, password_hash):
            return kind
    return Match.NO


def matches(password: str, password_hash: str | None) -> bool:
    """Return whether *password* matches *password_hash*, in either form. A hash of None takes the same time."""
    return match(password, password_hash) is not Match.NO


def _forms(password: str) -> list[str]:
    """Return *password* as prepared and as typed, once if both are the same or if it cannot be prepared."""
    try:
        return list(dict.fromkeys((prepared(password), password)))
    except ValueError:
        return [password]


@once
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 # see above

    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def _verify(password: str, password_hash: str | None) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 # see above

    try:
        return _hasher().verify(password_hash or _UNMATCHED_HASH, password) and bool(password_hash)
    except (VerificationError, InvalidHashError):
        return False
