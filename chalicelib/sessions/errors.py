"""What can go wrong with sessions."""

from chalicelib.errors import NotFound, Unauthenticated


class WrongCredentials(Unauthenticated):
    """Username or password is wrong."""


class SessionNotFound(NotFound):
    """There is no such session."""
