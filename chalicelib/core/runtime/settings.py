"""Every option, one frozen class per module, read from the environment once.

An option's name is its class's prefix and its field's name in capitals: ``SESSIONS_IDLE_MINUTES``. Defaults live here
and nowhere else; `docs/settings.md` is made from these classes. A secret is either in the environment or in the Secrets
Manager entry that ``HOLDFAST_SECRET_ID`` names; `wiring` asks for it when it is first needed.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, NamedTuple

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
)
from pydantic_core import from_json
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_FROZEN = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)


def _json(value: Any) -> Any:
    # Read here, as pydantic-settings would stop at text that is not JSON instead of telling it with the other faults.
    return from_json(value) if isinstance(value, str) else value


class HoldfastSettings(BaseSettings):
    """Which deployment this is."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="HOLDFAST_")

    stage: str = Field(default="local", pattern=r"^[a-z][a-z0-9-]{0,15}$", description="part of every resource's name")
    version: str = Field(default="dev", description="what `GET /health` calls this build")
    secret_id: str | None = Field(default=None, description="Secrets Manager entry with `mongodbUri` and `signingKey`")
    signing_key: SecretStr | None = Field(
        default=None, description="signs cursors and callbacks; else `signingKey` of the secret"
    )


class MongoSettings(BaseSettings):
    """How MongoDB is reached, and for how long one operation may take."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="MONGODB_")

    uri: SecretStr | None = Field(default=None, description="connection string; else `mongodbUri` of the secret")
    database: str = Field(default="holdfast", min_length=1, description="database that holds every collection")
    selection_timeout_ms: PositiveInt = Field(default=2_000, description="how long to look for a primary")
    # The driver looks again only twice a second, so a caller may wait half a second longer than this.
    operation_timeout_ms: PositiveInt = Field(default=2_000, description="deadline of one operation, retries included")
    max_pool_size: PositiveInt = Field(default=4, description="connections per process; every Lambda has its own pool")


class AwsSettings(BaseSettings):
    """How AWS services are reached."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="AWS_CLIENT_")

    connect_timeout_seconds: PositiveFloat = Field(default=1.0, description="deadline of one connection attempt")
    read_timeout_seconds: PositiveFloat = Field(default=2.0, description="deadline of one answer")
    max_attempts: PositiveInt = Field(default=2, description="tries per call, the first included")
    max_connections: PositiveInt = Field(default=10, description="connections kept open per process and service")


class HttpSettings(BaseSettings):
    """What the edge lets in and says."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="HTTP_")

    max_body_bytes: PositiveInt = Field(default=1_000_000, description="larger bodies are 413 before they are parsed")
    allowed_origins: Annotated[frozenset[str], NoDecode, BeforeValidator(_json)] = Field(
        default=frozenset(), description='browser origins that may call the API, as a JSON list; `["*"]` for any'
    )
    preflight_max_age_seconds: NonNegativeInt = Field(default=600, description="how long a browser keeps a preflight")


class CoordinationSettings(BaseSettings):
    """How far clocks may be apart, and how long work may take before others take it over."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="COORDINATION_")

    skew_allowance_ms: NonNegativeInt = Field(default=50, description="added to a lease before others may take it over")
    claim_lease_ms: PositiveInt = Field(default=30_000, description="claimed work may be taken over after this")


class SessionSettings(BaseSettings):
    """How long a session lives."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="SESSIONS_")

    idle_minutes: PositiveInt = Field(default=60, description="a session unused for this long is dead")
    absolute_hours: PositiveInt = Field(default=12, description="no session lives longer, used or not")
    touch_every_seconds: PositiveInt = Field(default=60, description="a session in use is written at most this often")
    cookie_secure: bool = Field(default=True, description="cookies for https alone; false where the API is plain http")


class ApprovalSettings(BaseSettings):
    """How long people may take to answer, and how often we look."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="APPROVALS_")

    first_poll_ms: PositiveInt = Field(default=60, description="pause before the first look at a pending request")
    slowest_poll_ms: PositiveInt = Field(default=140, description="longest pause between two looks")
    poll_growth: float = Field(default=1.25, ge=1, le=10, description="each pause is this many times the one before")
    readable_hours: PositiveInt = Field(default=24, description="how long a settled request can still be read")


class RecordSettings(BaseSettings):
    """How far back records are remembered, and how long a write waits to be listed."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="RECORDS_")

    kept_versions: PositiveInt = Field(default=1_000, description="how many versions of each record are kept")
    tombstone_hours: PositiveInt = Field(
        default=72, ge=48, description="how long the view remembers a deletion; older states live for 24 h at most"
    )
    early_within_ms: PositiveInt = Field(
        default=500, description="how long a write may take to show itself in lists; after that, the stream does"
    )
    totals_kept_ms: NonNegativeInt = Field(
        default=1_000, description="how old the total of a list of 10,000 may be; a shorter one's in proportion"
    )
    reconcile_seconds: PositiveInt = Field(default=240, description="how long one hourly comparison may take")


class QueueSettings(BaseSettings):
    """Where queues are."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="QUEUES_")

    url_prefix: str = Field(default="", description="what every queue's address begins with; set by the template")


class EgressSettings(BaseSettings):
    """Which addresses that a user chose may be called, and how much of their time and words is taken."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="EGRESS_")

    allow_loopback: bool = Field(default=False, description="also admit 127.0.0.0/8 and ::1, and nothing else private")
    connect_timeout_ms: PositiveInt = Field(default=3_000, description="wait per address, for TCP and again for TLS")
    read_timeout_ms: PositiveInt = Field(default=10_000, description="longest silence of the server")
    total_timeout_ms: PositiveInt = Field(default=15_000, description="deadline of one call, its lookup included")
    max_response_bytes: PositiveInt = Field(default=65_536, description="what is kept of an answer's body")


class DeviceSettings(BaseSettings):
    """How long devices are remembered, and how many of a person are pushed to."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="DEVICES_")

    kept_days: PositiveInt = Field(default=270, description="a device not registered again for so long is forgotten")
    pushed_at_most: PositiveInt = Field(default=20, description="a push goes to so many devices, the last registered")


class FcmSettings(BaseSettings):
    """How Firebase Cloud Messaging is reached; nothing is pushed without a service account."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="FCM_")

    service_account: SecretStr | None = Field(
        default=None, description="its key file, as JSON; else `fcmServiceAccount` of the secret"
    )
    base_url: str = Field(
        default="https://fcm.googleapis.com", pattern=r"^https?://[^/?#\s]+$", description="where messages are sent"
    )
    connect_timeout_ms: PositiveInt = Field(default=2_000, description="deadline of one connection attempt")
    read_timeout_ms: PositiveInt = Field(default=10_000, description="longest silence of the server")
    total_timeout_ms: PositiveInt = Field(default=12_000, description="deadline of one push, to all its devices")


class ObservabilitySettings(BaseSettings):
    """What is logged and counted."""

    model_config = _FROZEN | SettingsConfigDict(env_prefix="OBSERVABILITY_")

    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="lowest level printed")
    namespace: str = Field(default="Holdfast", min_length=1, description="CloudWatch namespace of the metrics")


class Settings(NamedTuple):
    """All of them, by module."""

    holdfast: HoldfastSettings
    mongo: MongoSettings
    aws: AwsSettings
    http: HttpSettings
    coordination: CoordinationSettings
    sessions: SessionSettings
    approvals: ApprovalSettings
    records: RecordSettings
    queues: QueueSettings
    egress: EgressSettings
    devices: DeviceSettings
    fcm: FcmSettings
    observability: ObservabilitySettings


#: Every class by its place in `Settings`.
SECTIONS: Mapping[str, type[BaseSettings]] = Settings.__annotations__


class BadSettings(Exception):
    """Some options cannot be used. Names each of them and never shows a value."""


@cache
def load() -> Settings:
    """Return the settings of this process, read once.

    Raises:
        BadSettings: every faulty option of every class, at once.
    """
    found: dict[str, Any] = {}
    faults: list[str] = []
    for name, section in SECTIONS.items():
        try:
            found[name] = section()
        except ValidationError as error:
            faults += _faults(section, error)
    if faults:
        # Not chained: pydantic's own text would show the values.
        raise BadSettings("These options cannot be used:\n  " + "\n  ".join(faults)) from None
    return Settings(**found)


def option(section: type[BaseSettings], field: str) -> str:
    """Return the environment variable that sets *field*."""
    return f"{section.model_config.get('env_prefix', '')}{field}".upper()


def environment() -> Mapping[str, str]:
    """Return the process's environment, for the few names that are not ours (``AWS_REGION``)."""
    return os.environ


def _faults(section: type[BaseSettings], error: ValidationError) -> list[str]:
    return [
        f"{option(section, str(fault['loc'][0]))}: {fault['msg']}"
        for fault in error.errors(include_input=False, include_url=False)
    ]
