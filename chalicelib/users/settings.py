"""Options of users."""

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from chalicelib.core.runtime.settings import Section


class PasswordLinkSettings(Section):
    """Links by which new users set their first password."""

    model_config = SettingsConfigDict(env_prefix="PASSWORD_LINKS_")

    hours: PositiveInt = Field(default=72, description="time for which a link is valid")
    failures_per_address: PositiveInt = Field(
        default=50, description="invalid links from one address (IPv6: one /64) within 15 minutes, then 429"
    )
