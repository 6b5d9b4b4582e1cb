"""Users: who may sign in, and with which roles.

models.py     users, API keys and their shapes in requests and answers
errors.py     errors shown to callers
opaque.py     one form for each password (RFC 8265)
passwords.py  a memory-hard hash, and a check in equal time for known and unknown users
keys.py       the format of API keys
index.py      users in the order of names, spread over partitions
enrolment.py  makes many users at once
links.py      tokens of the links that set a password
first.py      sets a first password, within a limit for each source address
settings.py   options
store.py      users in one DynamoDB table
keyring.py    API keys, in the items of their users
admins.py     the set of administrators' names, which is never empty
revocation.py ends a changed user's sessions, also after the changing process died
wiring.py     makes the store, once per process
slice.py      the declaration of the slice
api.py        HTTP routes

Other slices call `check`, `current`, `accounts`, `enrol`, `offer_password`, `link_hours`, `is_key`, `key_id`, `holder`
and `keeper`, and read the returned `User` or `Enrolled`. Other slices import nothing else from here.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from chalicelib.users import keys, wiring
from chalicelib.users.models import Enrolled, User

__all__ = [
    "Enrolled",
    "User",
    "accounts",
    "check",
    "current",
    "enrol",
    "holder",
    "is_key",
    "keeper",
    "key_id",
    "link_hours",
    "offer_password",
]


def check(username: str, password: str) -> User | None:
    """Return the user if *password* is right, else None. An unknown name takes as long as a wrong password.

    A hash of the password as typed, which earlier versions made, is replaced. The user's sessions stay.
    """
    from chalicelib.users import passwords  # noqa: PLC0415 # only logins check passwords

    found = wiring.store().credentials(username)
    result = passwords.match(password, found.password_hash if found else None)
    if found is None or result is passwords.Match.NO:
        return None
    if result is passwords.Match.AS_TYPED:
        wiring.store().rehash(username, found.password_hash, passwords.hashed(password))
    return found.user


def current(username: str) -> User | None:
    """Return the current state of the user, or None if there is no such user."""
    return wiring.store().find(username)


def accounts(usernames: Sequence[str]) -> Mapping[str, str]:
    """Return the account id of each of *usernames* with a current user. At most a hundred names, in one read."""
    return wiring.store().accounts(usernames)


def enrol(wanted: Mapping[str, str]) -> Mapping[str, Enrolled]:
    """Make a user of each name of *wanted* that has none, with the role user and no password; return all accounts.

    *wanted* maps each name to the operation that makes the user: a repeat recognises its users. At most 100 names.

    Raises:
        Unavailable: some users may have been made.
    """
    return wiring.enrolment().enrol(wanted)


def offer_password(username: str, account_id: str) -> str | None:
    """Return a new token by which the user sets a password once, or None if that account is gone.

    The user's token before ends.
    """
    return wiring.links().issue(username, account_id)


def link_hours() -> int:
    """Return the hours for which a token of `offer_password` is valid."""
    return wiring.options().hours


def is_key(token: str) -> bool:
    """Return whether *token* has the prefix of an API key; proves nothing about validity."""
    return token.startswith(keys.PREFIX)


def holder(token: str) -> User | None:
    """Return the current state of the service user with API key *token*, or None if the key is invalid. One read."""
    return wiring.store().holder(token, datetime.now(UTC))


def key_id(token: str) -> str | None:
    """Return the id in the API key *token*, or None if *token* has not the form of a key; proves nothing."""
    named = keys.read(token)
    return named.key_id if named else None


def keeper(username: str, key_id: str) -> User | None:
    """Return the current state of the service user *username* if the user still has the key *key_id*. One read."""
    return wiring.store().keeper(username, key_id, datetime.now(UTC))
