"""Options of devices, and of the way to Firebase."""

from pydantic import Field, PositiveInt, SecretStr
from pydantic_settings import SettingsConfigDict

from chalicelib.core.runtime.settings import Section


class DeviceSettings(Section):
    """How long devices are kept, and how many devices of a person get a push."""

    model_config = SettingsConfigDict(env_prefix="DEVICES_")

    kept_days: PositiveInt = Field(default=270, description="a device not registered again for this long is forgotten")
    pushed_at_most: PositiveInt = Field(default=20, description="most devices that get a push; the last registered")


class FcmSettings(Section):
    """How Firebase Cloud Messaging is reached; nothing is pushed without a service account."""

    model_config = SettingsConfigDict(env_prefix="FCM_")

    service_account: SecretStr | None = Field(
        default=None, description="key file of the service account, as JSON; default: `fcmServiceAccount` of the secret"
    )
    base_url: str = Field(
        default="https://fcm.googleapis.com", pattern=r"^https?://[^/?#\s]+$", description="address of Firebase"
    )
    connect_timeout_ms: PositiveInt = Field(default=2_000, description="deadline of one connection attempt")
    read_timeout_ms: PositiveInt = Field(default=10_000, description="longest silence of the server")
    total_timeout_ms: PositiveInt = Field(default=12_000, description="deadline of one push, to all its devices")
