"""AWS clients for one endpoint: our own emulator, or the one that the environment names."""

from __future__ import annotations

import os
import threading
from typing import Any, Protocol

import botocore.session
from botocore.config import Config

REGION = "us-east-1"
#: The emulator takes this pair for the account's root; it opens nothing anywhere else.
KEY_ID = SECRET_KEY = "test"  # noqa: S105


class Clients(Protocol):
    """Makes clients for one endpoint."""

    url: str

    def client(self, service: str) -> Any:
        """Return a client of *service*."""


class OwnClients:
    """Clients of the emulator that we started."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = botocore.session.Session()
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """Return a client of *service*; safe to call from any thread."""
        # A client may be shared by threads, a session may not.
        with self._lock:
            return self._session.create_client(
                service,
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id=KEY_ID,
                aws_secret_access_key=SECRET_KEY,
                # When it is gone it is gone: by itself botocore would go on trying for half a minute.
                config=Config(retries={"total_max_attempts": 1}),
            )


class ForeignClients:
    """Clients of the endpoint in AWS_ENDPOINT_URL or LOCALSTACK_HOST, as localstack-client reads them."""

    def __init__(self) -> None:
        from localstack_client.session import Session  # noqa: PLC0415 - boto3 is 20 MB that most starts can spare

        self._session = Session(
            aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", KEY_ID),
            aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            region_name=os.environ.get("AWS_DEFAULT_REGION", REGION),
        )
        self._lock = threading.Lock()
        self.url: str = self.client("sts").meta.endpoint_url

    def client(self, service: str) -> Any:
        """Return a client of *service*; safe to call from any thread."""
        with self._lock:
            return self._session.client(service)


def foreign_wanted() -> bool:
    """Whether the environment names an endpoint to use instead of our own."""
    return bool(os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("LOCALSTACK_HOST"))
