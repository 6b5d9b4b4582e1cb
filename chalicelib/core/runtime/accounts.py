"""Accounts: a user's identity. A name may pass to another account after a deletion; an account id never does."""

from typing import NamedTuple

#: Begins the account ids of users of earlier versions, which had no other identity than the name. Neither a ULID nor a
#: username contains a colon, so the three never coincide.
_NAMED = "name:"
_NUMBERED = "account:"


class Account(NamedTuple):
    """A user's name, for display, and the account id, which decides what belongs to the user."""

    username: str
    account_id: str


def id_of_name(username: str) -> str:
    """Return the account id of a user without a stored account id, as earlier versions made users."""
    return _NAMED + username


def named(username: str) -> Account:
    """Return the account of a user without a stored account id."""
    return Account(username, id_of_name(username))


def derivation(account_id: str) -> str:
    """Return the text from which secrets and keys of an account are derived, unique to the account.

    For a user of an earlier version the text is the name, as before, so derived secrets stay the same.
    """
    return account_id.removeprefix(_NAMED) if account_id.startswith(_NAMED) else _NUMBERED + account_id
