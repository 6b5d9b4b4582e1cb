"""Errors of users and API keys. Callers read the docstring of each class as the detail."""

from http import HTTPStatus

from chalicelib.core.errors import Conflict, NotFound, ServiceError, TooMany


class UserNotFound(NotFound):
    """There is no such user."""

    code = "user-not-found"


class UsernameTaken(Conflict):
    """This username is taken."""

    code = "name-taken"


class LastAdmin(Conflict):
    """This is the last administrator. Give another user the role admin first."""

    code = "last-admin"


class KeyNotFound(NotFound):
    """This user has no such key."""

    code = "key-not-found"


class NotService(Conflict):
    """Only users with the role service have keys. Give the user the role first."""

    code = "not-a-service"


class TooManyKeys(Conflict):
    """This user already has the maximum number of keys. Delete a key first."""

    code = "too-many-keys"


class KeyMade(Conflict):
    """This key was made by a call that is still running."""

    code = "key-being-made"


class LinkInvalid(ServiceError):
    """This link was used already, or its time is over. Ask for a new password."""

    status = HTTPStatus.GONE
    code = "link-invalid"


class TooManyLinks(TooMany):
    """Too many invalid links from this address. Try again later."""

    code = "too-many-links"
