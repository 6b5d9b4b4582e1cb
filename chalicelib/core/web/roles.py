"""Roles, and the caller of a request."""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.core import errors
from chalicelib.core.runtime import accounts
from chalicelib.core.runtime.accounts import Account


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
    """The caller of a request, by the session or API key. The account id, not the name, decides what is the caller's.

    Without *account_id*, the account of the name: so are sessions and users of earlier versions.
    """

    username: str
    roles: frozenset[Role]
    session_id: str | None = None
    account_id: str = ""
    #: The id of the API key, if the caller has one in place of a session.
    key_id: str | None = None
    #: The user's credentials version when the session was opened, or at the check of the key.
    epoch: str = ""

    def __post_init__(self) -> None:
        """Fill in a missing account id."""
        if not self.account_id:
            object.__setattr__(self, "account_id", accounts.id_of_name(self.username))

    @property
    def account(self) -> Account:
        """The caller's name and account id."""
        return Account(self.username, self.account_id)

    @property
    def is_admin(self) -> bool:
        """Whether the caller is an administrator, who is allowed everything."""
        return Role.ADMIN in self.roles

    def require_self_or_admin(self, *account_ids: str) -> None:
        """Return if the caller is an administrator or the account of one of *account_ids*.

        Raises:
            NotYours: the caller is neither.
        """
        if not self.is_admin and self.account_id not in account_ids:
            raise errors.NotYours


NOBODY = Caller(username="", roles=frozenset())
