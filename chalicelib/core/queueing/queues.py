"""Queues and messages. A slice declares its queue once; the template, its function's limits and its alarm follow.

A message carries ids, never documents, and the id of the request that caused it, so that one id can be followed through
call, queue, worker and call out.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from chalicelib.core.models import Model
from chalicelib.core.runtime import logs

#: As long as SQS keeps a message, in a queue or in its dead-letter queue.
RETENTION_SECONDS = 14 * 24 * 3600
#: The longest delay SQS takes.
LONGEST_DELAY_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue, its dead-letter queue and the function that works on it; what AWS would refuse is refused here."""

    #: SQS takes 80 characters; some are for the stage and for ``-dead``.
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,43}[a-z0-9]$")]
    #: A message that was not settled comes again after this.
    visibility_seconds: Annotated[int, Field(le=12 * 3600)]
    #: How often a message is tried before it is buried.
    attempts: Annotated[int, Field(ge=1, lt=1000)]
    #: Larger ones would need a window in which to gather them.
    batch_size: Annotated[int, Field(ge=1, le=10)]
    #: How many functions work on it at the same time, at most.
    concurrency: Annotated[int, Field(ge=2, le=1000)]
    #: How long one batch may take.
    timeout_seconds: Annotated[int, Field(ge=1, le=900)]

    def __post_init__(self) -> None:
        """Refuse a declaration that would have two functions work on one message.

        Raises:
            ValueError: says which queue, and why.
        """
        if self.timeout_seconds > self.visibility_seconds:
            raise ValueError(f"{self.name}: a batch would come again while it is still being worked on")

    @property
    def dead_letters(self) -> str:
        """The name of its dead-letter queue."""
        return f"{self.name}-dead"


class Message(Model):
    """What every message has."""

    version: Literal[1] = Field(default=1, alias="schema")
    #: The request that caused it.
    caused_by: str = Field(default_factory=lambda: logs.line().fields.get("requestId", ""))

    @property
    def work_id(self) -> str:
        """What is to be done once, by its business id: a message may come twice, and a redrive changes SQS's ids."""
        raise NotImplementedError


_declared: dict[str, Queue] = {}


def declare(queues: Iterable[Queue]) -> None:
    """Make known what the slices declare; `chalicelib.slices` calls this once, when the application is put together."""
    _declared.update({queue.name: queue for queue in queues})


def every() -> tuple[Queue, ...]:
    """Return every queue there is."""
    return tuple(_declared.values())


def named(name: str) -> Queue:
    """Return the queue called *name*."""
    return _declared[name]
