"""Options of messages."""

from typing import Annotated

from pydantic import BeforeValidator, Field, PositiveInt
from pydantic_settings import NoDecode, SettingsConfigDict

from chalicelib.core.runtime.settings import Section, from_text
from chalicelib.core.web.roles import Role


class MessageSettings(Section):
    """Who may send messages, how many, and how long messages are kept."""

    model_config = SettingsConfigDict(env_prefix="MESSAGES_")

    senders: Annotated[frozenset[Role] | None, NoDecode, BeforeValidator(from_text)] = Field(
        default=None,
        description="roles that may send beside administrators, as a JSON list; default: every role",
    )
    undelivered_at_most: PositiveInt = Field(
        default=10_000, le=10_000, description="undelivered messages of one receiver"
    )
    sends_per_second: PositiveInt = Field(default=100, ge=100, description="messages that one user sends in a second")
    delivered_days: PositiveInt = Field(default=7, description="time for which a delivered message is kept")
    undelivered_days: PositiveInt = Field(default=30, description="time for which an undelivered message is kept")
    devices_at_most: PositiveInt = Field(
        default=10,
        le=50,
        description="devices of one receiver that joins name; the one whose last join is the oldest is forgotten",
    )
    quiet_seconds: PositiveInt = Field(
        default=60, description="shortest time between two push notifications of a receiver without a connection"
    )
