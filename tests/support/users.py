"""People and services who are signed in."""

from chalicelib.core.web.roles import Role
from chalicelib.sessions import wiring as sessions_wiring
from chalicelib.users import wiring as users_wiring

#: Nobody signs in with it: these users are given their sessions.
UNUSABLE = "no hash of any password"


def signed_in(username: str, *roles: Role) -> str:
    """Make a user, and return a session's token."""
    user = users_wiring.store().add(username, UNUSABLE, roles or [Role.USER])
    return sessions_wiring.store().open(username, user.roles, user.epoch, user.account_id).token
