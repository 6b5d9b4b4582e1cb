"""Devices and pushes for tests."""

from typing import Any

from chalicelib.core.runtime.accounts import named
from chalicelib.devices.models import NewDevice, Notification, Platform
from chalicelib.devices.store import DeviceStore

PERSON = "ann"
REQUEST_ID = "01JD0000000000000000000000"


def a_device(token: str = "token-1", platform: Platform = Platform.ANDROID) -> NewDevice:
    return NewDevice(platform=platform, fcm_token=token)


def put(devices: DeviceStore, *tokens: str, username: str = PERSON) -> None:
    """Register a device for each token; the token is part of the device's id."""
    for token in tokens:
        devices.put(named(username), f"device-{token}", a_device(token))


def a_notification(**fields: Any) -> Notification:
    asked = {"title": "Pay?", "body": "5 EUR to Bob", "data": {"requestId": REQUEST_ID}}
    return Notification(**{**asked, "ttl_ms": 90_000, "collapse_key": REQUEST_ID, **fields})
