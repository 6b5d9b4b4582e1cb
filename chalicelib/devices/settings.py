"""Options of devices, and of the way to Firebase."""

from pydantic import Field, PositiveInt, SecretStr
from pydantic_settings import SettingsConfigDict

from chalicelib.core.runtime.settings import Section


class DeviceSettings(Section):
    """How long devices are remembered, and how many of a person are pushed to."""

    model_config = SettingsConfigDict(env_prefix="DEVICES_")

    kept_days: PositiveInt = Field(default=270, description="a device not registered again for so long is forgotten")
    pushed_at_most: PositiveInt = Field(default=20, description="a push goes to so many devices, the last registered")


class FcmSettings(Section):
    """How Firebase Cloud Messaging is reached; nothing is pushed without a service account."""

    model_config = SettingsConfigDict(env_prefix="FCM_")

    service_account: SecretStr | None = Field(
        default=None, description="its key file, as JSON; else `fcmServiceAccount` of the secret"
    )
    base_url: str = Field(
        default="https://fcm.googleapis.com", pattern=r"^https?://[^/?#\s]+$", description="where messages are sent"
    )
    connect_timeout_ms: PositiveInt = Field(default=2_000, description="deadline of one connection attempt")
    read_timeout_ms: PositiveInt = Field(default=10_000, description="longest silence of the server")
    total_timeout_ms: PositiveInt = Field(default=12_000, description="deadline of one push, to all its devices")
