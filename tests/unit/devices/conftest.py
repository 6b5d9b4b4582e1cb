"""Devices in a real mongod, and a fake FCM server behind a real socket."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pymongo.database import Database

from chalicelib.devices import wiring as devices_wiring
from chalicelib.devices.store import DeviceStore
from tests.support.fcm_server import FcmServer


@pytest.fixture
def devices(mongodb: Database[dict[str, Any]]) -> DeviceStore:
    return devices_wiring.store()


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """No service account, before the test and after it."""
    devices_wiring.fcm.cache_clear()
    yield
    devices_wiring.fcm.cache_clear()


@pytest.fixture
def google(key: rsa.RSAPrivateKey, options: Callable[..., None], unconfigured: None) -> Iterator[FcmServer]:
    """The fake FCM server, and settings with its address."""
    with FcmServer(key) as google:
        options(FCM_BASE_URL=google.url, FCM_SERVICE_ACCOUNT=google.service_account())
        yield google
