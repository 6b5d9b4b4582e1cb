"""Errors of sessions. Callers read the docstring of each class as the detail."""

from chalicelib.core.errors import NotFound, TooMany, Unauthenticated, Unavailable


class WrongCredentials(Unauthenticated):
    """Username or password is wrong."""

    code = "wrong-credentials"


class TooManyGuesses(TooMany):
    """Too many attempts to sign in under this name."""

    code = "too-many-guesses"


class TooManyFailures(TooMany):
    """Too many attempts to sign in from this address."""

    code = "too-many-failures"


class ManySignIn(Unavailable):
    """Too many people sign in just now."""

    code = "many-sign-in"


class SessionNotFound(NotFound):
    """There is no such session."""

    code = "session-not-found"
