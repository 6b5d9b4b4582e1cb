"""Options of sessions."""

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from chalicelib.core.runtime.settings import Section


class SessionSettings(Section):
    """How long a session lives."""

    model_config = SettingsConfigDict(env_prefix="SESSIONS_")

    idle_minutes: PositiveInt = Field(default=60, description="a session unused for this long ends")
    absolute_hours: PositiveInt = Field(default=12, description="every session ends after this, used or not")
    touch_every_seconds: PositiveInt = Field(default=60, description="a session in use is written at most this often")
