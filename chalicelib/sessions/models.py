"""What a session is, and what stands for one."""

from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import ConfigDict, Field, SecretStr, StringConstraints

from chalicelib.core.models import Instant, Model, Username
from chalicelib.core.web.models import PageQuery
from chalicelib.core.web.roles import Role


class Login(Model):
    """A name and a password."""

    username: Username
    password: Annotated[SecretStr, Field(min_length=1, max_length=256)]
    cookie: bool = Field(default=False, description="answer with a cookie too, for a browser's pages")


class Session(Model):
    """A session as it may be shown: never with its token."""

    model_config = ConfigDict(extra="ignore")

    session_id: str
    username: str
    roles: list[Annotated[Role, Field(strict=False)]]
    created_at: Instant
    last_seen_at: Instant
    expires_at: Instant


class Opened(Model):
    """A session just opened. The token is shown here and never again."""

    token: str
    session_id: str
    username: str
    roles: list[Role]
    expires_at: Instant


class NewTicket(Model):
    """Where a ticket shall serve; at any path that takes tickets when left out."""

    path: Annotated[str, StringConstraints(pattern=r"^/", max_length=1024)] | None = None

    @property
    def reusable(self) -> bool:
        """Whether it serves again: a browser's EventSource reconnects, always to the same address."""
        return self.path is not None and self.path.endswith("/events")


class Ticket(Model):
    """A ticket just issued: stands for its session in ``?ticket=``, where no header can be set."""

    ticket: str
    expires_at: Instant


class Issued(NamedTuple):
    """A ticket's only copy, and when it ends by the server's clock."""

    ticket: str
    expires_at: datetime


class SessionQuery(PageQuery):
    """Whose sessions to list; everyone's when left out."""

    username: Username | None = None
