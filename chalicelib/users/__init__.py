"""Users: who may sign in, and with which roles.

models.py     what a user is
errors.py     what can go wrong, in words a caller understands
passwords.py  a memory-hard hash, and a check that takes the same time for anyone
store.py      where users live: one DynamoDB table
dismiss.py    a changed user's sessions end, also when the process that changed it died
api.py        HTTP routes

Other slices ask `check` and `current`; nothing else here is theirs.
"""

from chalicelib import wiring
from chalicelib.users.models import User


def check(username: str, password: str) -> User | None:
    """Return the user whose password this is, else None; as slow for an unknown name as for a wrong password."""
    from chalicelib.users import passwords  # noqa: PLC0415 # argon2 is for those who log in

    found = wiring.users().credentials(username)
    if not passwords.matches(password, found.password_hash if found else None):
        return None
    return found.user if found else None


def current(username: str) -> User | None:
    """Return the user as it is at this moment, or None."""
    return wiring.users().find(username)
