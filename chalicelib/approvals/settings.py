"""Options of approvals."""

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from chalicelib.core.runtime.settings import Section


class ApprovalSettings(Section):
    """How long people may take to answer, and how often we look."""

    model_config = SettingsConfigDict(env_prefix="APPROVALS_")

    first_poll_ms: PositiveInt = Field(default=60, description="pause before the first look at a pending request")
    slowest_poll_ms: PositiveInt = Field(default=140, description="longest pause between two looks")
    poll_growth: float = Field(default=1.25, ge=1, le=10, description="each pause is this many times the one before")
    readable_hours: PositiveInt = Field(default=24, description="how long a settled request can still be read")
