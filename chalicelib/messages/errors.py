"""Errors of messages. Callers read the docstring of each class as the detail."""

from chalicelib.core.errors import Conflict, NotFound, TooLarge, TooMany


class UnknownReceiver(NotFound):
    """There is no such user to write to."""

    code = "unknown-receiver"


class MailboxFull(Conflict):
    """The receiver has 10,000 undelivered messages already. Try again when some are delivered."""

    code = "mailbox-full"


class MessageTooLarge(TooLarge):
    """A message holds 64 KB at most, as JSON in UTF-8."""

    code = "message-too-large"


class SendingTooFast(TooMany):
    """A user sends at most 100 messages in a second."""

    code = "sending-too-fast"
