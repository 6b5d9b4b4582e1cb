"""Options of WebSocket connections."""

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from chalicelib.core.runtime.settings import Section


class SocketSettings(Section):
    """How functions reach connections, and how many connections may be open."""

    model_config = SettingsConfigDict(env_prefix="SOCKETS_")

    management_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^?#\s]+$",
        description="address of the gateway's management API; set by the template; without one, nothing is pushed",
    )
    public_url: str | None = Field(
        default=None,
        # The origin becomes a part of the console's policy.
        pattern=r"^wss?://[A-Za-z0-9.:-]+(/[^?#\s]*)?$",
        description="address for clients, in `GET /console/config.json`; set by the template",
    )
    per_account: PositiveInt = Field(default=20, description="connections of one account that are open at once")
    in_all: PositiveInt = Field(default=2_000, description="connections that are open at once, of all accounts")
