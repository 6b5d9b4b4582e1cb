"""Options of progress."""

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from chalicelib.core.runtime.settings import Section


class ProgressSettings(Section):
    """How often a waiting call polls, and how often a stream of events begins anew."""

    model_config = SettingsConfigDict(env_prefix="PROGRESS_")

    first_poll_ms: PositiveInt = Field(default=60, description="pause before the first poll of an unchanged progress")
    slowest_poll_ms: PositiveInt = Field(default=250, description="longest pause between two polls")
    poll_growth: float = Field(default=1.25, ge=1, le=10, description="factor from a pause to the next")
    stream_hold_ms: PositiveInt = Field(
        default=20_000, le=25_000, description="time for which a stream of events is held without a change"
    )
    stream_retry_ms: PositiveInt = Field(
        default=500, description="pause of a client of a stream between a change and its next request"
    )
