"""Options of approvals."""

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from chalicelib.core.runtime.settings import Section


class ApprovalSettings(Section):
    """How often a waiting call polls, and how long a settled request stays readable."""

    model_config = SettingsConfigDict(env_prefix="APPROVALS_")

    first_poll_ms: PositiveInt = Field(default=60, description="pause before the first poll of a pending request")
    slowest_poll_ms: PositiveInt = Field(default=140, description="longest pause between two polls")
    poll_growth: float = Field(default=1.25, ge=1, le=10, description="factor from a pause to the next")
    readable_hours: PositiveInt = Field(default=24, description="time for which a settled request can be read")
