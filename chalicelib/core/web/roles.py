"""Roles, and the caller of a request."""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.core import errors


class Role(StrEnum):
    """The roles of callers. `ADMIN` is allowed everything."""

    ADMIN = "admin"
    OFFICER = "officer"
    SERVICE = "service"
    USER = "user"


#: For routes that need no session.
PUBLIC: frozenset[Role] = frozenset()
#: For routes that any valid session may call.
SIGNED_IN = frozenset(Role)
#: For routes of the administrator alone.
ADMIN_ONLY = frozenset({Role.ADMIN})


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request, by the session."""

    username: str
    roles: frozenset[Role]
    session_id: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the caller is an administrator, who is allowed everything."""
        return Role.ADMIN in self.roles

    def require_self_or_admin(self, *usernames: str) -> None:
        """Return if the caller is an administrator or one of *usernames*.

        Raises:
            Forbidden: the caller is neither.
        """
        if not self.is_admin and self.username not in usernames:
            raise errors.Forbidden("This belongs to someone else.")


NOBODY = Caller(username="", roles=frozenset())
