"""Makes the store of devices and the client of FCM, each once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients
from chalicelib.devices.settings import DeviceSettings, FcmSettings

if TYPE_CHECKING:
    from chalicelib.devices.fcm import Fcm
    from chalicelib.devices.store import DeviceStore


@once
def store() -> DeviceStore:
    """Return the store of devices."""
    from chalicelib.devices.store import DeviceStore

    return DeviceStore(clients.mongodb().devices, settings.load(DeviceSettings))


@once
def fcm() -> Fcm | None:
    """Return the client of FCM, or None if the deployment has no service account."""
    from chalicelib.devices.fcm import Fcm

    options = settings.load(FcmSettings)
    own = options.service_account
    account = own.get_secret_value() if own else clients.optional_secret("fcmServiceAccount")
    return Fcm(options, account) if account else None
