"""Why a call was not made, or brought no answer.

    EgressError
    ├── AddressRefused   is `Invalid`      this address will not be called
    ├── HeaderRefused    is `Invalid`      this header will not be sent
    ├── Unreachable      is `Unavailable`  network, certificate or protocol failed
    │   └── UnknownName                    the name does not exist
    └── TimedOut         is `Unavailable`  the server was silent, or the deadline passed

What is `Invalid` stays so. What is `Unavailable` is worth another try; whether the server has acted is not known then.
"""

from chalicelib.core.errors import FieldError, Invalid, ServiceError, Unavailable


class EgressError(ServiceError):
    """A call brought no answer."""


class AddressRefused(Invalid, EgressError):
    """This address will not be called. The reason never says where a name leads."""

    def __init__(self, reason: str, field: str = "url") -> None:
        super().__init__([FieldError(field, reason)], reason)


class HeaderRefused(Invalid, EgressError):
    """This header will not be sent."""

    def __init__(self, name: str) -> None:
        super().__init__([FieldError("headers", f"{name!a} cannot be sent.")])


class Unreachable(Unavailable, EgressError):
    """The server could not be reached."""


class UnknownName(Unreachable):
    """No server has this name."""


class TimedOut(Unavailable, EgressError):
    """The server did not answer in time."""
