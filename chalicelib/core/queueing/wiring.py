"""The sender and the dead letters of this deployment's queues, made once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients

if TYPE_CHECKING:
    from chalicelib.core.queueing.dead_letters import DeadLetters
    from chalicelib.core.queueing.sender import Sender


@once
def sender() -> Sender:
    """Return the sender of messages."""
    from chalicelib.core.queueing.sender import Sender

    return Sender(clients.aws("sqs"), settings.load(settings.QueueSettings).url_prefix)


@once
def dead_letters() -> DeadLetters:
    """Return the stored dead letters of all queues."""
    from chalicelib.core.queueing.dead_letters import TABLE, DeadLetters

    return DeadLetters(clients.sorted_table(TABLE))
