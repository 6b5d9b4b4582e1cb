"""What can go wrong with sessions."""

from chalicelib.core.errors import NotFound, TooMany, Unauthenticated


class WrongCredentials(Unauthenticated):
    """Username or password is wrong."""


class TooManyGuesses(TooMany):
    """Too many attempts to sign in under this name."""


class SessionNotFound(NotFound):
    """There is no such session."""
