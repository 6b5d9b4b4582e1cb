"""Errors of approvals. Callers read the docstring of each class as the detail."""

from collections.abc import Sequence

from chalicelib.core.errors import Conflict, FieldError, Invalid, NotFound, Unavailable


class ApprovalNotFound(NotFound):
    """There is no such request, or the request is no longer kept."""

    code = "request-not-found"


class NothingPending(NotFound):
    """This user has no pending request."""

    code = "nothing-pending"


class UnknownUser(NotFound):
    """There is no such user to ask."""

    code = "unknown-user"


class UnknownPeople(Invalid):
    """Some of the people named are not users."""

    code = "unknown-people"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(errors)


class NoPlaceToWait(Unavailable):
    """Too many callers wait just now. Nothing was asked. Try again, or ask with `wait: false`."""

    code = "no-place-to-wait"


class AlreadySettled(Conflict):
    """The request is no longer pending."""

    code = "already-settled"


class AlreadyAnswered(Conflict):
    """You have answered this request; others are still awaited."""

    code = "already-answered"


class ActionNotOffered(Invalid):
    """This action was not offered."""

    code = "action-not-offered"

    def __init__(self) -> None:
        super().__init__([FieldError("action", "not one of the actions offered")])
