"""Queues: declared here once; template, function, alarms and wiring follow from the declaration.

A message carries ids, never documents, and the id of the request that caused it, so that one id can be followed through
call, queue, worker and call out.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from chalicelib.core.errors import Unavailable
from chalicelib.core.models import Model
from chalicelib.core.runtime import logs
from chalicelib.core.stores.driver_errors import reaching_aws

#: As long as SQS keeps a message, in a queue or in its dead-letter queue.
RETENTION_SECONDS = 14 * 24 * 3600
#: The longest delay SQS takes.
LONGEST_DELAY_SECONDS = 900
#: As many as SendMessageBatch takes.
_SENT_AT_ONCE = 10


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


APPROVAL = Queue("approval", visibility_seconds=60, attempts=12, batch_size=10, concurrency=4, timeout_seconds=50)
REPAIR = Queue("repair", visibility_seconds=60, attempts=12, batch_size=10, concurrency=2, timeout_seconds=50)

#: Every queue there is.
QUEUES = (APPROVAL, REPAIR)


class Message(Model):
    """What every message has."""

    version: Literal[1] = Field(default=1, alias="schema")
    #: The request that caused it.
    caused_by: str = Field(default_factory=lambda: logs.line().fields.get("requestId", ""))

    @property
    def work_id(self) -> str:
        """What is to be done once, by its business id: a message may come twice, and a redrive changes SQS's ids."""
        raise NotImplementedError


class Depth(Model):
    """How many messages a queue holds, as SQS says, which is about right."""

    pending: int
    processing: int
    dead: int


class Mail:
    """Sends to queues and looks at them. *prefix* is what every queue's address begins with."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    def send(self, queue: Queue, message: Message, *, delay_seconds: int = 0) -> None:
        """Send *message*, to be seen after *delay_seconds*. When this returns it will be worked on, at least once."""
        with reaching_aws():
            self._client.send_message(
                QueueUrl=self._prefix + queue.name,
                MessageBody=message.model_dump_json(),
                DelaySeconds=min(max(delay_seconds, 0), LONGEST_DELAY_SECONDS),
            )

    def send_all(self, queue: Queue, messages: Sequence[Message]) -> None:
        """Send *messages*, ten in a call. When this returns each will be worked on, at least once.

        Raises:
            Unavailable: some may have been sent.
        """
        for start in range(0, len(messages), _SENT_AT_ONCE):
            bodies = [message.model_dump_json() for message in messages[start : start + _SENT_AT_ONCE]]
            entries = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(bodies)]
            with reaching_aws():
                answer = self._client.send_message_batch(QueueUrl=self._prefix + queue.name, Entries=entries)
            if answer.get("Failed"):
                raise Unavailable("A queue did not take every message.")

    def bury(self, queue: Queue, body: str, reason: str) -> None:
        """Put *body* into the dead-letter queue, with why."""
        with reaching_aws():
            self._client.send_message(
                QueueUrl=self._prefix + queue.dead_letters,
                MessageBody=body,
                MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
            )

    def postpone(self, queue: Queue, receipt: str, seconds: int) -> None:
        """Have a message that was received come again after *seconds*."""
        with reaching_aws():
            self._client.change_message_visibility(
                QueueUrl=self._prefix + queue.name, ReceiptHandle=receipt, VisibilityTimeout=seconds
            )

    def depth(self, queue: Queue) -> Depth:
        """Return how full *queue* is."""
        waiting, dead = self._counts(queue.name), self._counts(queue.dead_letters)
        # A letter that somebody reads just now is hidden, and still there.
        return Depth(
            pending=waiting["ApproximateNumberOfMessages"] + waiting["ApproximateNumberOfMessagesDelayed"],
            processing=waiting["ApproximateNumberOfMessagesNotVisible"],
            dead=sum(dead.values()),
        )

    def _counts(self, name: str) -> dict[str, int]:
        wanted = [f"ApproximateNumberOfMessages{suffix}" for suffix in ("", "NotVisible", "Delayed")]
        with reaching_aws():
            answer = self._client.get_queue_attributes(QueueUrl=self._prefix + name, AttributeNames=wanted)
        return {name: int(value) for name, value in answer["Attributes"].items()}


def named(name: str) -> Queue:
    """Return the queue called *name*."""
    return {queue.name: queue for queue in QUEUES}[name]
