"""The fake FCM server of the devices' tests, behind a real socket."""

from tests.unit.devices.conftest import google, key, unconfigured

__all__ = ["google", "key", "unconfigured"]
