"""Roles: what a caller may be, and who the caller of a request is."""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.core import errors


class Role(StrEnum):
    """What a caller may be. `ADMIN` may do all."""

    ADMIN = "admin"
    OFFICER = "officer"
    SERVICE = "service"
    USER = "user"


#: For routes that need no session.
PUBLIC: frozenset[Role] = frozenset()
#: For routes that any session opens.
SIGNED_IN = frozenset(Role)
#: For routes of the administrator alone.
ADMIN_ONLY = frozenset({Role.ADMIN})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, as their session says."""

    username: str
    roles: frozenset[Role]
    session_id: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed."""
        return Role.ADMIN in self.roles

    def require_self_or_admin(self, *usernames: str) -> None:
        """Let an administrator and the named users through.

        Raises:
            Forbidden: the caller is neither.
        """
        if not self.is_admin and self.username not in usernames:
            raise errors.Forbidden("This belongs to someone else.")


NOBODY = Caller(username="", roles=frozenset())
