"""Signed-in users and services."""

from chalicelib.core.web.roles import Role
from chalicelib.sessions import wiring as sessions_wiring
from chalicelib.users import wiring as users_wiring

#: No password matches: tests open the sessions of these users directly.
UNUSABLE = "no hash of any password"


def signed_in(username: str, *roles: Role) -> str:
    """Make a user, and return a session's token."""
    user = users_wiring.store().add(username, UNUSABLE, roles or [Role.USER])
    return sessions_wiring.store().open(username, user.roles, user.epoch, user.account_id).token
