"""Options of sessions."""

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from chalicelib.core.runtime.settings import Section


class LoginSettings(Section):
    """How many passwords may be wrong, and how many are checked at the same time."""

    model_config = SettingsConfigDict(env_prefix="LOGIN_")

    failures_per_address: PositiveInt = Field(
        default=100, description="wrong passwords from one address (IPv6: one /64) within 15 minutes, then 429"
    )
    checks_at_once: PositiveInt = Field(
        default=2, description="passwords that one process checks at the same time, then 503; a function has one caller"
    )


class SessionSettings(Section):
    """How long a session lives."""

    model_config = SettingsConfigDict(env_prefix="SESSIONS_")

    idle_minutes: PositiveInt = Field(
        default=60, description="a session unused for this long ends, at the latest SESSIONS_TOUCH_EVERY_SECONDS after"
    )
    absolute_hours: PositiveInt = Field(default=12, description="every session ends after this, used or not")
    touch_every_seconds: PositiveInt = Field(default=60, description="a session in use is written at most this often")
