"""Queues and messages. A slice declares a queue once; the template, the function's limits and the alarm follow.

A message carries ids, never documents, and the id of the causing request, so an id can be traced through call, queue,
worker and outbound call.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field
from pydantic.dataclasses import dataclass

from chalicelib.core.models import Model
from chalicelib.core.runtime import logs

#: How long SQS keeps a message, and DynamoDB a dead letter.
RETENTION_SECONDS = 14 * 24 * 3600
#: The longest delay SQS takes.
LONGEST_DELAY_SECONDS = 900
#: The longest time for which a received message is hidden: SQS's 12 hours, less the time of the batch.
LONGEST_HIDDEN_SECONDS = 12 * 3600 - 900
#: The end of a dead-letter queue's name.
DEAD_SUFFIX = "-dead"
#: The largest message, in bytes: a dead letter must fit into an item of DynamoDB (400 KB).
LARGEST_MESSAGE_BYTES = 256 * 1024
#: After so many deliveries SQS itself dead-letters a message, the most that SQS allows: the workers count attempts, and
#: a delivery that came to nothing is none.
MOST_RECEIVES = 1_000


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue, its dead-letter queue and its worker function. Values that AWS would refuse raise an error here."""

    #: SQS allows 80 characters; the stage and ``-dead`` need some of the 80.
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,43}[a-z0-9]$")]
    #: After so many seconds SQS delivers an unsettled message again.
    visibility_seconds: Annotated[int, Field(le=12 * 3600)]
    #: How often a message is tried before it is dead-lettered.
    attempts: Annotated[int, Field(ge=1, lt=1000)]
    #: Larger batches would need a batching window.
    batch_size: Annotated[int, Field(ge=1, le=10)]
    #: The maximum number of concurrent worker functions.
    concurrency: Annotated[int, Field(ge=2, le=1000)]
    #: The time limit of one batch.
    timeout_seconds: Annotated[int, Field(ge=1, le=900)]
    #: "batch": the new messages of a batch are begun in one transaction and finished in one. A worker that dies may
    #: repeat a whole batch, so each effect must be idempotent by an id. "each": for effects that leave this service.
    finish: Literal["each", "batch"] = "each"
    #: The pauses between attempts, each lengthened by up to a fifth at random. For a queue with lanes, whose work waits
    #: in MongoDB. Without a schedule the pause doubles, up to the longest that SQS takes.
    schedule_seconds: tuple[int, ...] = ()
    #: The worker pushes to devices, so its function has the layer with the packages that only pushes need.
    pushes: bool = False

    def __post_init__(self) -> None:
        """Refuse a declaration by which two functions could work on one message, or whose schedule has a gap.

        Raises:
            ValueError: names the queue and the reason.
        """
        if self.timeout_seconds > self.visibility_seconds:
            raise ValueError(f"{self.name}: a batch would come again while it is still being worked on")
        if self.schedule_seconds and self.attempts != len(self.schedule_seconds) + 1:
            raise ValueError(f"{self.name}: a pause stands between each two attempts")

    @property
    def dead_letters(self) -> str:
        """The name of the dead-letter queue."""
        return f"{self.name}{DEAD_SUFFIX}"


class Message(Model):
    """The base of all messages."""

    version: Literal[1] = Field(default=1, alias="schema")
    #: The request that caused the message.
    caused_by: str = Field(default_factory=lambda: logs.line().fields.get("requestId", ""))

    @property
    def work_id(self) -> str:
        """The business id of the work. SQS may deliver a message twice, and a redrive changes SQS's own ids."""
        raise NotImplementedError


class Load(NamedTuple):
    """How much work waits, and how much is being done."""

    pending: int
    processing: int


_declared: dict[str, Queue] = {}
_loads: dict[str, Callable[[], Load]] = {}


def declare(queues: Iterable[Queue], loads: Mapping[str, Callable[[], Load]] | None = None) -> None:
    """Register the queues of the slices; `chalicelib.slices` calls this function once, at import.

    *loads* has a function for each queue whose messages only wake a worker, while the work waits elsewhere.
    """
    _declared.update({queue.name: queue for queue in queues})
    _loads.update(loads or {})


def load(name: str) -> Load | None:
    """Return the load of a queue whose work waits elsewhere, else None: then SQS knows the load."""
    return _loads[name]() if name in _loads else None


def every() -> tuple[Queue, ...]:
    """Return every declared queue."""
    return tuple(_declared.values())


def named(name: str) -> Queue:
    """Return the queue called *name*."""
    return _declared[name]
