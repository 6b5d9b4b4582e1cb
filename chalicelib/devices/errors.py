"""Errors of devices. Callers read the docstring of each class as the detail."""

from chalicelib.core.errors import NotFound, Unavailable


class DeviceNotFound(NotFound):
    """You have no such device."""

    code = "device-not-found"


class TokenContested(Unavailable):
    """Others are registering this token at the same moment."""

    code = "token-contested"
