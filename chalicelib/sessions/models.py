"""Sessions, tickets, and their shapes in requests and answers (no I/O)."""

from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import ConfigDict, Field, SecretStr, StringConstraints

from chalicelib.core.models import Form, Instant, Model, Username
from chalicelib.core.web.models import PageQuery
from chalicelib.core.web.roles import Role


class Login(Model):
    """Request to sign in: a name and a password."""

    username: Username
    password: Annotated[SecretStr, Field(min_length=1, max_length=256)]
    cookie: bool = Field(default=False, description="answer with a cookie too, for a browser's pages")


class Session(Model):
    """A session in answers, without the token."""

    model_config = ConfigDict(extra="ignore")

    session_id: str
    username: str
    roles: list[Annotated[Role, Field(strict=False)]]
    created_at: Instant
    last_seen_at: Instant
    expires_at: Instant
    #: Not shown. Sessions of earlier versions have none.
    account_id: str = Field(default="", exclude=True)
    #: Not shown: the user's credentials version under which the session was opened.
    epoch: str = Field(default="", exclude=True)


class Opened(Model):
    """A new session. The token is shown only in this answer."""

    token: str
    session_id: str
    username: str
    roles: list[Role]
    expires_at: Instant


_PATH = Form("must be a path that begins with '/', of at most 1,024 characters")


class NewTicket(Model):
    """The path of a new ticket; without a path, the ticket is valid for any path that takes tickets."""

    path: Annotated[str, StringConstraints(pattern=r"^/", max_length=1024), _PATH] | None = None

    @property
    def reusable(self) -> bool:
        """Return whether the ticket can be used again: an EventSource always reconnects to the same address."""
        return self.path is not None and self.path.endswith("/events")


class Ticket(Model):
    """A new ticket: represents a session in ``?ticket=``, for clients that cannot set a header."""

    ticket: str
    expires_at: Instant


class Issued(NamedTuple):
    """The only copy of a ticket, and the expiry by the server's clock."""

    ticket: str
    expires_at: datetime


class SessionQuery(PageQuery):
    """The user whose sessions are listed; without a username, all users."""

    username: Username | None = None
