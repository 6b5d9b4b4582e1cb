"""Options of the console."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chalicelib.core.runtime.settings import Section


class ReceiverSettings(Section):
    """Where the console reads received callbacks: at the receiver of a laptop's stack, and nowhere else."""

    model_config = SettingsConfigDict(env_prefix="RECEIVER_")

    # The pattern keeps the page's policy closed to every other machine.
    url: str | None = Field(
        default=None,
        pattern=r"^http://(localhost|127\.0\.0\.1):[0-9]{1,5}$",
        description="address of the receiver of callbacks on this machine; set by a local stack",
    )
