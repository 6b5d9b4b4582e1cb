"""Users and API keys: stored shapes, and their shapes in requests and answers (no I/O)."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

from chalicelib.core.models import Instant, Model, Username
from chalicelib.core.web.roles import Role
from chalicelib.users.opaque import prepared

_LEAST_CHARACTERS = 8


def _checked(password: SecretStr) -> SecretStr:
    # A character and its accent may be typed as two characters, and count as the one that they are.
    if len(prepared(password.get_secret_value())) < _LEAST_CHARACTERS:
        raise ValueError(f"must have at least {_LEAST_CHARACTERS} characters")
    return password


Password = Annotated[SecretStr, Field(min_length=_LEAST_CHARACTERS, max_length=256), AfterValidator(_checked)]
Roles = Annotated[list[Annotated[Role, Field(strict=False)]], Field(min_length=1, max_length=len(Role))]


class NewUser(Model):
    """Request to make a user."""

    username: Username
    password: Password
    roles: Roles


class UserChange(Model):
    """Changes to a user: password, roles or both. Either change ends the user's sessions."""

    # The rule of `_something_changes`, for readers of the OpenAPI description.
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


class FirstPassword(Model):
    """Request to set the password of the user of a mailed link."""

    token: Annotated[SecretStr, Field(min_length=1, max_length=500, description="token of the link")]
    password: Password


class ShownUser(Model):
    """The public fields of a user."""

    username: str
    roles: list[Role]
    created_at: Instant
    updated_at: Instant


@dataclass(frozen=True, slots=True)
class User:
    """A user as stored. *epoch* is the credentials version: every change of password or roles renews *epoch*.

    *account_id* never changes, and no other user ever gets the same, also not a later user of the same name.
    """

    username: str
    account_id: str
    roles: frozenset[Role]
    epoch: str
    created_at: str
    updated_at: str

    def shown(self) -> ShownUser:
        """Return the public fields."""
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
    """Request to make a key for a service user."""

    name: Annotated[str, Field(min_length=1, max_length=100, description="purpose of the key")]
    expires_at: Instant | None = None


class ShownKey(Model):
    """The public fields of a key."""

    key_id: str
    name: str
    created_at: Instant
    created_by: str
    expires_at: Instant | None


class MadeKey(ShownKey):
    """A new key. The secret is shown only in this answer."""

    key: str


@dataclass(frozen=True, slots=True)
class Key:
    """A key as stored: the hash of the secret, never the secret."""

    key_id: str
    name: str
    digest: str
    created_at: str
    created_by: str
    expires_at: str | None

    @property
    def position(self) -> str:
        """The position in the order of creation. An id has no part in it where the times differ.

        A keyed retry keeps the id of its first attempt. The texts of times sort as the times: all are in UTC.
        """
        return f"{self.created_at} {self.key_id}"

    def expired(self, now: datetime) -> bool:
        """Return whether *now* is at or after ``expires_at``; a key without ``expires_at`` never expires."""
        return self.expires_at is not None and datetime.fromisoformat(self.expires_at) <= now

    def shown(self) -> ShownKey:
        """Return the public fields."""
        fields = {name: value for name, value in asdict(self).items() if name != "digest"}
        return ShownKey.model_validate(fields, strict=False)


class Credentials(NamedTuple):
    """A user and the hash of the password."""

    user: User
    password_hash: str


class Enrolled(NamedTuple):
    """The account under a name. *made*: the given operation made the user, by this call or by an earlier one.

    *gone*: the user is being deleted, and the name will be free within a minute.
    """

    account_id: str
    made: bool
    gone: bool = False
