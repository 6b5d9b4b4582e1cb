"""What can go wrong with users."""

from chalicelib.core.errors import Conflict, NotFound


class UserNotFound(NotFound):
    """There is no such user."""


class UsernameTaken(Conflict):
    """This username is taken."""


class KeyNotFound(NotFound):
    """This user has no such key."""


class NotService(Conflict):
    """Only users with the role service have keys."""


class TooManyKeys(Conflict):
    """This user has as many keys as one may have."""


class KeyMade(Conflict):
    """This key was made by a call that is still running."""
