"""Errors of devices. The docstring of each class is the detail that callers read."""

from chalicelib.core.errors import NotFound, Unavailable


class DeviceNotFound(NotFound):
    """You have no such device."""


class TokenContested(Unavailable):
    """Others are registering this token at the same moment."""
