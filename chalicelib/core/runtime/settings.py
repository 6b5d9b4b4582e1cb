"""Options: one frozen class per module, read from the environment once. Here are the platform's; slices have others.

The name of an option is the prefix of the class and the name of the field, in capitals: ``SESSIONS_IDLE_MINUTES``.
Defaults live in the classes alone; `docs/settings.md` is generated from the classes. A secret is either in the
environment or in the Secrets Manager entry that ``HOLDFAST_SECRET_ID`` names; `core.stores.clients` reads the secret on
first use.
"""

import os
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, TypeVar, cast

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

Loaded = TypeVar("Loaded", bound="Section")

#: Every class of options that this process has imported, in the order of definition.
_SECTIONS: list[type["Section"]] = []
_loaded: dict[type["Section"], "Section"] = {}


class Section(BaseSettings):
    """The base of every class of options. `load` reads and checks all derived classes together."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, defer_build=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Register the class with `load`."""
        _SECTIONS.append(cls)


def from_text(value: Any) -> Any:
    """Return the value of an option that is written as JSON; for a `BeforeValidator`."""
    # pydantic-settings would stop at text that is not JSON, instead of reporting the fault with all the others.
    return from_json(value) if isinstance(value, str) else value


class HoldfastSettings(Section):
    """Which deployment this is."""

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_")

    stage: str = Field(default="local", pattern=r"^[a-z][a-z0-9-]{0,15}$", description="part of every resource's name")
    version: str = Field(default="dev", description="name of this build in `GET /health`")
    secret_id: str | None = Field(default=None, description="Secrets Manager entry with `mongodbUri` and `signingKey`")
    signing_key: SecretStr | None = Field(
        default=None,
        description="key that signs cursors and callbacks, and keys the hashes of tokens; "
        "default: `signingKey` of the secret",
    )


class MongoSettings(Section):
    """How MongoDB is reached, and for how long one operation may take."""

    model_config = SettingsConfigDict(env_prefix="MONGODB_")

    uri: SecretStr | None = Field(default=None, description="connection string; default: `mongodbUri` of the secret")
    database: str | None = Field(
        default=None,
        min_length=1,
        description="database that holds every collection; default: the database in the path of `MONGODB_URI`, "
        "then `holdfast-<stage>`",
    )
    selection_timeout_ms: PositiveInt = Field(default=2_000, description="longest search for a primary")
    # The driver looks again only twice a second, so a caller may wait half a second longer than this.
    operation_timeout_ms: PositiveInt = Field(default=2_000, description="deadline of one operation, retries included")
    max_pool_size: PositiveInt = Field(default=4, description="connections per process; every Lambda has its own pool")


class AwsSettings(Section):
    """How AWS services are reached."""

    model_config = SettingsConfigDict(env_prefix="AWS_CLIENT_")

    connect_timeout_seconds: PositiveFloat = Field(default=1.0, description="deadline of one connection attempt")
    read_timeout_seconds: PositiveFloat = Field(default=2.0, description="deadline of one answer")
    max_attempts: PositiveInt = Field(default=2, description="tries per call, the first included")
    max_connections: PositiveInt = Field(default=10, description="connections kept open per process and service")


class HttpSettings(Section):
    """Limits and CORS of the HTTP API."""

    model_config = SettingsConfigDict(env_prefix="HTTP_")

    max_body_bytes: PositiveInt = Field(default=1_000_000, description="larger bodies are answered with 413 unparsed")
    allowed_origins: Annotated[frozenset[str], NoDecode, BeforeValidator(from_text)] = Field(
        default=frozenset(), description='browser origins that may call the API, as a JSON list; `["*"]` for any'
    )
    trusted_proxies: Annotated[frozenset[IPv4Network | IPv6Network], NoDecode, BeforeValidator(from_text)] = Field(
        default=frozenset(),
        description='networks of proxies whose `X-Forwarded-For` counts, as a JSON list: `["10.0.0.0/8"]`',
    )
    preflight_max_age_seconds: NonNegativeInt = Field(
        default=600, description="time for which a browser keeps a preflight"
    )


class PublicSettings(Section):
    """Where people reach this deployment."""

    model_config = SettingsConfigDict(env_prefix="PUBLIC_")

    url: str | None = Field(
        default=None,
        pattern=r"^https?://[^?#\s]+$",
        description="address of the API for people, to which links in mails lead: `https://holdfast.example.org`",
    )


class CookieSettings(Section):
    """How a browser keeps a session."""

    model_config = SettingsConfigDict(env_prefix="SESSIONS_COOKIE_")

    secure: bool = Field(default=True, description="cookies for https alone; false if the API is plain http")


class CoordinationSettings(Section):
    """How far clocks may differ, and how long claimed work may take."""

    model_config = SettingsConfigDict(env_prefix="COORDINATION_")

    skew_allowance_ms: NonNegativeInt = Field(
        default=50, description="added to a lease before another attempt may take over"
    )
    claim_lease_ms: PositiveInt = Field(
        default=30_000, description="lease of a claim; after it, another attempt may start"
    )


class WaitingSettings(Section):
    """How many requests may wait for something at the same time, across all instances."""

    model_config = SettingsConfigDict(env_prefix="WAITING_")

    places: PositiveInt = Field(default=60, description="requests that wait at the same time, of all callers")
    places_per_caller: PositiveInt = Field(default=12, description="requests of one caller that wait at the same time")


class RecordSettings(Section):
    """How far back the history of records reaches, and how long a write waits for the read model."""

    model_config = SettingsConfigDict(env_prefix="RECORDS_")

    kept_versions: PositiveInt = Field(default=1_000, description="versions of each record that history keeps")
    tombstone_hours: PositiveInt = Field(
        default=72,
        ge=48,
        description="time for which the read model keeps a deletion; older states arrive for 24 h at most",
    )
    early_within_ms: PositiveInt = Field(
        default=500,
        description="longest wait of a write for the read model; after that, the stream updates the read model",
    )
    totals_kept_ms: NonNegativeInt = Field(
        default=1_000, description="greatest age of the total of a list of 10,000; of a shorter list in proportion"
    )
    reconcile_seconds: PositiveInt = Field(default=240, description="longest time of one hourly reconciliation")


class QueueSettings(Section):
    """The addresses of queues."""

    model_config = SettingsConfigDict(env_prefix="QUEUES_")

    url_prefix: str = Field(default="", description="common beginning of all queue URLs; set by the template")


class EgressSettings(Section):
    """Limits of calls to addresses that a user chose."""

    model_config = SettingsConfigDict(env_prefix="EGRESS_")

    allow_loopback: bool = Field(
        default=False, description="also admit 127.0.0.0/8 and ::1, and no other private address"
    )
    refused_ports: Annotated[frozenset[int], NoDecode, BeforeValidator(from_text)] = Field(
        default=frozenset(),
        description="ports refused at admitted loopback addresses, as a JSON list; a local stack names its own",
    )
    connect_timeout_ms: PositiveInt = Field(default=3_000, description="wait per address, for TCP and again for TLS")
    read_timeout_ms: PositiveInt = Field(default=10_000, description="longest silence of the server")
    total_timeout_ms: PositiveInt = Field(default=15_000, description="deadline of one call, its lookup included")
    max_response_bytes: PositiveInt = Field(
        default=65_536, description="longest part of an answer's body that is read; 1,024 bytes are kept"
    )


class ObservabilitySettings(Section):
    """Logs and metrics."""

    model_config = SettingsConfigDict(env_prefix="OBSERVABILITY_")

    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="lowest level printed")
    namespace: str = Field(default="Holdfast", min_length=1, description="CloudWatch namespace of the metrics")


class BadSettings(Exception):
    """Some options are invalid. The message names each invalid option and never shows a value."""


def load(section: type[Loaded]) -> Loaded:
    """Return the options of *section*, read once per process.

    Raises:
        BadSettings: lists every invalid option of every class that this process has imported.
    """
    if (found := _loaded.get(section)) is None:
        _read([known for known in _SECTIONS if known not in _loaded])
        found = _loaded[section]
    return cast("Loaded", found)


def sections() -> tuple[type[Section], ...]:
    """Return every class of options that this process has imported."""
    return tuple(_SECTIONS)


def forget() -> None:
    """Make `load` read every class again, for tests that change the environment."""
    _loaded.clear()


def option(section: type[Section], field: str) -> str:
    """Return the environment variable that sets *field*."""
    return f"{section.model_config.get('env_prefix', '')}{field}".upper()


def environment() -> Mapping[str, str]:
    """Return the process's environment, for the few variables of others (``AWS_REGION``)."""
    return os.environ


def _read(wanted: Sequence[type[Section]]) -> None:
    """Read the classes *wanted*, all or none."""
    found: dict[type[Section], Section] = {}
    faults: list[str] = []
    for section in wanted:
        try:
            found[section] = section()
        except ValidationError as error:
            faults += _faults(section, error)
    if faults:
        # Not chained: pydantic's own text would show the values.
        raise BadSettings("These options cannot be used:\n  " + "\n  ".join(faults)) from None
    _loaded.update(found)


def _faults(section: type[Section], error: ValidationError) -> list[str]:
    return [
        f"{option(section, str(fault['loc'][0]))}: {fault['msg']}"
        for fault in error.errors(include_input=False, include_url=False)
    ]
