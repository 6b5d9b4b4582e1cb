"""The sender of this deployment's queues, made once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients

if TYPE_CHECKING:
    from chalicelib.core.queueing.sender import Sender


@once
def sender() -> Sender:
    """Return the sender of messages."""
    from chalicelib.core.queueing.sender import Sender

    return Sender(clients.aws("sqs"), settings.load(settings.QueueSettings).url_prefix)
