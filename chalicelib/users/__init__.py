"""Users: who may sign in, and with which roles.

models.py     what a user is
errors.py     what can go wrong, in words a caller understands
passwords.py  a memory-hard hash, and a check that takes the same time for anyone
keys.py       what an API key looks like
store.py      where users and their keys live: one DynamoDB table
revocation.py a changed user's sessions end, also when the process that changed it died
wiring.py     makes the store, once per process
slice.py      what this slice brings
api.py        HTTP routes

Other slices call `check`, `current`, `unknown`, `is_key` and `holder`, and read the `User` that these return. They
import nothing else from here.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from chalicelib.users import keys, wiring
from chalicelib.users.models import User

__all__ = ["User", "check", "current", "holder", "is_key", "unknown"]


def check(username: str, password: str) -> User | None:
    """Return the user whose password this is, else None; as slow for an unknown name as for a wrong password."""
    from chalicelib.users import passwords  # noqa: PLC0415 # argon2 is for those who log in

    found = wiring.store().credentials(username)
    if not passwords.matches(password, found.password_hash if found else None):
        return None
    return found.user if found else None


def current(username: str) -> User | None:
    """Return the user as it is at this moment, or None."""
    return wiring.store().find(username)


def unknown(usernames: Sequence[str]) -> list[str]:
    """Return those of *usernames* that are no users at this moment; one read for up to a hundred."""
    return wiring.store().unknown(usernames)


def is_key(token: str) -> bool:
    """Whether this token says that it is an API key."""
    return token.startswith(keys.PREFIX)


def holder(token: str) -> User | None:
    """Return the service user whose API key this is, as the user is at this moment, or None. One read."""
    return wiring.store().holder(token, datetime.now(UTC))
