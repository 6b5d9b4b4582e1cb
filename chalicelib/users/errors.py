"""Errors of users and API keys. Callers read the docstring of each class as the detail."""

from chalicelib.core.errors import Conflict, NotFound


class UserNotFound(NotFound):
    """There is no such user."""


class UsernameTaken(Conflict):
    """This username is taken."""


class LastAdmin(Conflict):
    """This is the last administrator. Give another user the role admin first."""


class KeyNotFound(NotFound):
    """This user has no such key."""


class NotService(Conflict):
    """Only users with the role service have keys."""


class TooManyKeys(Conflict):
    """This user already has the maximum number of keys."""


class KeyMade(Conflict):
    """This key was made by a call that is still running."""
