"""AWS clients for an endpoint: the stack's own emulator, or a foreign endpoint named by the environment."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config

from infra.operations.failures import CommandFailed
from infra.operations.servers import check_mongodb, region_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class Keys(NamedTuple):
    """The credentials and the region of a client."""

    key_id: str
    secret: str
    region: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables from which programs take these keys."""
        return {
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }


#: The emulator takes these keys for the account's root user. The keys are valid nowhere else.
ROOT_KEYS = Keys("test", "test", "us-east-1")


class Unreachable(CommandFailed):
    """The environment names a service that does not answer."""


class Clients(Protocol):
    """Makes AWS clients for an endpoint."""

    url: str
    keys: Keys

    def client(self, service: str) -> Any:
        """Return a client of *service*; safe to call from any thread."""


#: Shared, because a session keeps the service descriptions that botocore has read for later clients.
_session = botocore.session.Session()
#: Threads may share a client, but not a session.
_session_lock = threading.Lock()


class OwnClients:
    """Clients of the emulator that the stack started."""

    keys = ROOT_KEYS

    def __init__(self, url: str) -> None:
        self.url = url

    def client(self, service: str) -> Any:
        """Return a client of *service*; safe to call from any thread."""
        with _session_lock:
            return _session.create_client(
                service,
                endpoint_url=self.url,
                region_name=self.keys.region,
                aws_access_key_id=self.keys.key_id,
                aws_secret_access_key=self.keys.secret,
                # No retries: if the emulator has ended, botocore would retry for half a minute in vain.
                config=Config(retries={"total_max_attempts": 1}),
            )


class ForeignClients:
    """Clients of the endpoint in AWS_ENDPOINT_URL or LOCALSTACK_HOST, as localstack-client reads them.

    Raises:
        Unreachable: no process listens at the endpoint.
    """

    def __init__(self) -> None:
        from localstack_client.session import Session  # noqa: PLC0415 - boto3 is 20 MB that most starts can spare

        self.keys = Keys(
            os.environ.get("AWS_ACCESS_KEY_ID", ROOT_KEYS.key_id),
            os.environ.get("AWS_SECRET_ACCESS_KEY", ROOT_KEYS.secret),
            region_of(os.environ) or ROOT_KEYS.region,
        )
        self._session = Session(
            aws_access_key_id=self.keys.key_id,
            aws_secret_access_key=self.keys.secret,
            region_name=self.keys.region,
        )
        self._lock = threading.Lock()
        self.url: str = self.client("sts").meta.endpoint_url
        if not answers(self.url):
            name = "AWS_ENDPOINT_URL" if os.environ.get("AWS_ENDPOINT_URL") else "LOCALSTACK_HOST"
            raise Unreachable(
                f"{name} names {self.url}, where nobody answers. Start the endpoint, or unset {name}: "
                "scripts/up then starts an endpoint of its own."
            )

    def client(self, service: str) -> Any:
        """Return a client of *service*; safe to call from any thread."""
        with self._lock:
            return self._session.client(service)


def check_servers(environ: Mapping[str, str]) -> None:
    """Return if the foreign endpoint and the foreign MongoDB that *environ* names, if any, can serve a stack.

    Raises:
        Unreachable: nobody answers at the endpoint.
        CommandFailed: MONGODB_URI is no connection string, or is missing beside an endpoint. An own MongoDB listens on
            loopback, and LocalStack runs functions in containers, whose loopback is another.
        PyMongoError: no server answers at MONGODB_URI.
    """
    uri, url = environ.get("MONGODB_URI"), ForeignClients().url if foreign_wanted() else ""
    if uri:
        check_mongodb(uri)
    elif url:
        raise CommandFailed(
            f"Functions run at {url}, and cannot reach a MongoDB that listens on this machine's loopback. Set "
            "MONGODB_URI to a replica set (6.0 or newer) by an address that functions reach, such as "
            "host.docker.internal."
        )


def foreign_wanted() -> bool:
    """Whether the environment names a foreign endpoint."""
    return bool(os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("LOCALSTACK_HOST"))


def answers(url: str) -> bool:
    """Whether a process accepts connections at *url*."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with closing(socket.create_connection((parts.hostname, port), timeout=5)):
            return True
    except OSError:
        return False
