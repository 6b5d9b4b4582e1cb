"""People and services who are signed in."""

from chalicelib import wiring
from chalicelib.core.web.routes import Role

#: Nobody signs in with it: these users are given their sessions.
UNUSABLE = "no hash of any password"


def signed_in(username: str, *roles: Role) -> str:
    """Make a user, and return a session's token."""
    user = wiring.users().add(username, UNUSABLE, roles or [Role.USER])
    return wiring.sessions().open(username, user.roles, user.epoch).token
