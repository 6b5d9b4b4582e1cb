"""What can go wrong with users."""

from chalicelib.errors import Conflict, NotFound


class UserNotFound(NotFound):
    """There is no such user."""


class UsernameTaken(Conflict):
    """This username is taken."""
