"""Google behind a real socket, as the tests of devices have it."""

from tests.unit.devices.conftest import google, key, unconfigured

__all__ = ["google", "key", "unconfigured"]
