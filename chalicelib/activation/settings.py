"""Options of activation and of mail."""

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from chalicelib.core.runtime.settings import Section


class ActivationSettings(Section):
    """How long leads are kept."""

    model_config = SettingsConfigDict(env_prefix="ACTIVATION_")

    leads_days: PositiveInt = Field(default=30, description="time for which leads and their outcomes are kept")


class MailSettings(Section):
    """How mails are sent, by SES."""

    model_config = SettingsConfigDict(env_prefix="MAIL_")

    sender: str | None = Field(
        default=None,
        pattern=r"^[^\r\n]+@[^\r\n]+$",
        description="sender of mails, an address that SES has verified: `Holdfast <welcome@example.org>`",
    )
    per_second: PositiveInt = Field(default=10, description="mails sent in a second, of all activations together")
    configuration_set: str | None = Field(
        default=None, description="SES configuration set, whose events say which mails came back; set by the template"
    )
