"""What a user is, and an API key."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, NamedTuple, Self

from pydantic import ConfigDict, Field, SecretStr, model_validator

from chalicelib.core.models import Instant, Model, Username
from chalicelib.core.web.roles import Role

Password = Annotated[SecretStr, Field(min_length=8, max_length=256)]
Roles = Annotated[list[Annotated[Role, Field(strict=False)]], Field(min_length=1, max_length=len(Role))]


class NewUser(Model):
    """A user to be made."""

    username: Username
    password: Password
    roles: Roles


class UserChange(Model):
    """What may change of a user; either ends that user's sessions."""

    # What `_something_changes` checks, for those who read the description.
    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["password"], "properties": {"password": {"type": "string"}}},
                {"required": ["roles"], "properties": {"roles": {"type": "array"}}},
            ]
        }
    )

    password: Password | None = None
    roles: Roles | None = None

    @model_validator(mode="after")
    def _something_changes(self) -> Self:
        if self.password is None and self.roles is None:
            raise ValueError("name a password or roles")
        return self


class ShownUser(Model):
    """What anyone may see of a user."""

    username: str
    roles: list[Role]
    created_at: Instant
    updated_at: Instant


@dataclass(frozen=True, slots=True)
class User:
    """A user as the table has it. *epoch* is new with every change of password or roles."""

    username: str
    roles: frozenset[Role]
    epoch: str
    created_at: str
    updated_at: str

    def shown(self) -> ShownUser:
        """Return what may be seen."""
        return ShownUser.model_validate(
            {
                "username": self.username,
                "roles": sorted(self.roles),
                "created_at": self.created_at,
                "updated_at": self.updated_at,
            },
            strict=False,
        )


class NewKey(Model):
    """A key to be made for a service user."""

    name: Annotated[str, Field(min_length=1, max_length=100, description="what it is for")]
    expires_at: Instant | None = None


class ShownKey(Model):
    """What may be seen of a key."""

    key_id: str
    name: str
    created_at: Instant
    created_by: str
    expires_at: Instant | None


class MadeKey(ShownKey):
    """A key just made. It is shown here and never again."""

    key: str


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the table has it: never the key itself."""

    key_id: str
    name: str
    digest: str
    created_at: str
    created_by: str
    expires_at: str | None

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and datetime.fromisoformat(self.expires_at) <= now

    def shown(self) -> ShownKey:
        """Return what may be seen."""
        fields = {name: value for name, value in asdict(self).items() if name != "digest"}
        return ShownKey.model_validate(fields, strict=False)


class Credentials(NamedTuple):
    """A user and the hash of the password."""

    user: User
    password_hash: str
