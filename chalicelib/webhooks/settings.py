"""Options of webhooks."""

from typing import Annotated

from pydantic import BeforeValidator, Field, PositiveInt
from pydantic_settings import NoDecode, SettingsConfigDict

from chalicelib.core.egress.retries import LONGEST_PAUSE_SECONDS, SCHEDULE_SECONDS
from chalicelib.core.runtime.settings import Section, from_text


class WebhookSettings(Section):
    """How often a delivery is tried, how long deliveries are kept, and when a webhook is given up."""

    model_config = SettingsConfigDict(env_prefix="WEBHOOKS_")

    schedule_seconds: Annotated[tuple[PositiveInt, ...], NoDecode, BeforeValidator(from_text)] = Field(
        default=SCHEDULE_SECONDS,
        min_length=1,
        max_length=20,
        description="pauses between the attempts of a delivery, as a JSON list; each lengthened by up to a fifth",
    )
    longest_pause_seconds: PositiveInt = Field(
        default=LONGEST_PAUSE_SECONDS, description="longest pause that a receiver may ask for with `Retry-After`"
    )
    kept_days: PositiveInt = Field(default=30, description="time for which a delivery is kept, and may be due")
    failing_days: PositiveInt = Field(
        default=5, description="after so many days of nothing but failures a webhook is disabled"
    )
    rotation_hours: PositiveInt = Field(
        default=24, description="time for which a rotated secret signs beside the new one"
    )
