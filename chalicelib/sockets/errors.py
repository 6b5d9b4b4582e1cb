"""Errors of sockets. Clients read the docstring of each class as the detail."""

from chalicelib.core.errors import Malformed, NotFound, TooLarge, TooMany


class NotAFrame(Malformed):
    """A frame must be a JSON object with an action."""

    code = "not-a-frame"


class UnknownAction(NotFound):
    """There is no such action."""

    code = "unknown-action"


class UnknownTopic(NotFound):
    """There is no such topic."""

    code = "unknown-topic"


class FrameTooLarge(TooLarge):
    """A frame must have at most 30 KB."""

    code = "frame-too-large"


class TooManyConnections(TooMany):
    """Too many connections are open."""

    code = "too-many-connections"
