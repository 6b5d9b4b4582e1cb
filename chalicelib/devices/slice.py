"""Declares the devices slice."""

from chalicelib import devices
from chalicelib.core.slice import Indexes, Slice
from chalicelib.devices.api import routes
from chalicelib.devices.settings import DeviceSettings, FcmSettings


def _indexes() -> Indexes:
    from chalicelib.devices import store

    return {"devices": store.INDEXES}


SLICE = Slice(
    name="devices",
    routes=routes,
    settings=(DeviceSettings, FcmSettings),
    indexes=_indexes,
    revoke=devices.revoke,
)
