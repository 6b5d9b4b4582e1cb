"""Makes the first administrator with a given or a generated password, and restores a lost administrator."""

import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from chalicelib.core.stores.dynamodb import Table
from chalicelib.core.web.roles import Role
from chalicelib.users import passwords
from chalicelib.users.errors import UsernameTaken
from chalicelib.users.models import Credentials, Password
from chalicelib.users.store import UserStore
from infra.operations.failures import CommandFailed

NAME = "admin"
VARIABLE = "HOLDFAST_ADMIN_PASSWORD"


class Administrator(NamedTuple):
    """The state of the user `NAME` after a deployment."""

    #: What an operator reads after the name.
    state: str
    #: The password if generated here, else None. Shown once.
    password: str | None = None


def given_password(environ: Mapping[str, str]) -> str | None:
    """Return the password in ``HOLDFAST_ADMIN_PASSWORD``, None if the variable is unset or empty.

    Raises:
        CommandFailed: the API would refuse the password because of its length.
    """
    given = environ.get(VARIABLE) or None
    try:
        TypeAdapter(Password | None).validate_python(given)
    except ValidationError:
        raise CommandFailed(
            f"{VARIABLE} has {len(given or '')} characters, and a password has 8 to 256. Set another password, or "
            "unset the variable to have one generated."
        ) from None
    return given


def ensure_admin(dynamodb: Any, stage: str, environ: Mapping[str, str]) -> Administrator:
    """Make the administrator of *stage* if missing, seed the set of administrators, and upgrade the index of users.

    Safe to repeat.

    If ``HOLDFAST_ADMIN_PASSWORD`` is set, the user gets this password and the role admin, also when another
    administrator had taken the role away. Without the variable, an existing user changes only if the stage has no
    administrator at all: then the user gets the role back, with a generated password. After a change the user's
    earlier sessions end within a minute.

    Raises:
        CommandFailed: the given password is too short or too long; nothing was changed.
    """
    given = given_password(environ)
    store = UserStore(Table(dynamodb, f"holdfast-{stage}-users"))
    # The functions of this version read both places of the index; the functions before knew the former place alone.
    store.index.upgrade()
    administrators = store.admins.seed()
    if (found := store.credentials(NAME)) is not None:
        return _restore(store, found, given, lost=not administrators)
    password = given or secrets.token_urlsafe(12)
    try:
        store.add(NAME, passwords.hashed(password), [Role.ADMIN])
    except UsernameTaken:
        return Administrator("made by another deployment, or deleted less than a minute ago")
    return Administrator("with the given password") if given else Administrator("made now", password)


def _restore(store: UserStore, found: Credentials, given: str | None, *, lost: bool) -> Administrator:
    """Give the user the *given* password and the role admin, or a generated password if the role is *lost*."""
    held = found.user.roles
    if given is None and (Role.ADMIN in held or not lost):
        return Administrator("with the password as it was" if Role.ADMIN in held else "without the role admin")
    password = given or secrets.token_urlsafe(12)
    known = passwords.matches(password, found.password_hash)
    if Role.ADMIN in held and known:
        return Administrator("with the given password")
    store.change(
        NAME,
        password_hash=None if known else passwords.hashed(password),
        roles=None if Role.ADMIN in held else {*held, Role.ADMIN},
    )
    if not given:
        return Administrator("with the role admin given back", password)
    role = "the role admin given back" if Role.ADMIN not in held else ""
    changed = "" if known else "the password changed to the given one"
    return Administrator(f"with {' and '.join(filter(None, (role, changed)))}")
