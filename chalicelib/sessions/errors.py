"""Errors of sessions. Callers read the docstring of each class as the detail."""

from chalicelib.core.errors import NotFound, TooMany, Unauthenticated, Unavailable


class WrongCredentials(Unauthenticated):
    """Username or password is wrong."""


class TooManyGuesses(TooMany):
    """Too many attempts to sign in under this name."""


class TooManyFailures(TooMany):
    """Too many attempts to sign in from this address."""


class ManySignIn(Unavailable):
    """Too many people sign in just now."""


class SessionNotFound(NotFound):
    """There is no such session."""
