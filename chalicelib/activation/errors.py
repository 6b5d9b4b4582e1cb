"""Errors of activation. Callers read the docstring of each class as the detail."""

from chalicelib.core.errors import Conflict, NotFound


class ActivationNotFound(NotFound):
    """There is no such activation, or it has expired."""

    code = "activation-not-found"


class ActivationOver(Conflict):
    """The activation is completed or cancelled."""

    code = "activation-over"


class NothingFailed(Conflict):
    """The activation has no failed leads that were not tried again."""

    code = "nothing-failed"


class MailNotSetUp(Conflict):
    """No mails can be sent: an operator must set PUBLIC_URL and MAIL_SENDER first."""

    code = "mail-not-set-up"
