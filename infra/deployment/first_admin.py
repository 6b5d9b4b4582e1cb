"""Makes the first administrator, once, with a given or a generated password."""

import secrets
from collections.abc import Mapping
from typing import Any

from chalicelib.core.stores.dynamodb import Table
from chalicelib.core.web.roles import Role
from chalicelib.users import passwords
from chalicelib.users.errors import UsernameTaken
from chalicelib.users.store import UserStore

NAME = "admin"


def ensure_admin(dynamodb: Any, stage: str, environ: Mapping[str, str]) -> str | None:
    """Make the administrator of *stage* if missing. Return the password if generated here, else None. Safe to repeat.

    If ``HOLDFAST_ADMIN_PASSWORD`` differs from an existing administrator's password, the password is changed, and the
    administrator's sessions end within a minute.
    """
    store = UserStore(Table(dynamodb, f"holdfast-{stage}-users"))
    given = environ.get("HOLDFAST_ADMIN_PASSWORD")
    if (found := store.credentials(NAME)) is not None:
        if given and not passwords.matches(given, found.password_hash):
            store.change(NAME, password_hash=passwords.hashed(given), roles=None)
        return None
    password = given or secrets.token_urlsafe(12)
    try:
        store.add(NAME, passwords.hashed(password), [Role.ADMIN])
    except UsernameTaken:
        return None
    return None if given else password
