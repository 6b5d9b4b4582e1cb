"""What a session is."""

from typing import Annotated

from pydantic import ConfigDict, Field, SecretStr

from chalicelib.http import Role
from chalicelib.shapes import Instant, Model, PageQuery, Username


class Login(Model):
    """A name and a password."""

    username: Username
    password: Annotated[SecretStr, Field(min_length=1, max_length=256)]


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


class SessionQuery(PageQuery):
    """Whose sessions to list; everyone's when left out."""

    username: Username | None = None
