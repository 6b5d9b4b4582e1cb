"""Sends messages to queues, and reads how full queues are."""

from collections.abc import Sequence
from typing import Any

from chalicelib.core.errors import Unavailable
from chalicelib.core.models import Model
from chalicelib.core.queueing.queues import LONGEST_DELAY_SECONDS, Message, Queue
from chalicelib.core.stores.driver_errors import reaching_aws

#: As many as SendMessageBatch takes.
_SENT_AT_ONCE = 10


class Depth(Model):
    """How many messages a queue holds, as SQS says, which is about right."""

    pending: int
    processing: int
    dead: int


class Sender:
    """Sends to queues and looks at them. *prefix* is what every queue's address begins with."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    def send(self, queue: Queue, message: Message, *, delay_seconds: int = 0) -> None:
        """Send *message*, to be seen after *delay_seconds*. When this returns it will be worked on, at least once."""
        with reaching_aws():
            self._client.send_message(
                QueueUrl=self._prefix + queue.name,
                MessageBody=message.model_dump_json(),
                DelaySeconds=_delay(delay_seconds),
            )

    def send_all(self, queue: Queue, messages: Sequence[Message], delays_seconds: Sequence[int] = ()) -> None:
        """Send *messages*, ten in a call, each to be seen after its delay if *delays_seconds* has one for each.

        When this returns each will be worked on, at least once.

        Raises:
            Unavailable: some may have been sent.
        """
        delayed = list(zip(messages, delays_seconds or [0] * len(messages), strict=True))
        for start in range(0, len(messages), _SENT_AT_ONCE):
            entries = [
                {"Id": str(place), "MessageBody": message.model_dump_json(), "DelaySeconds": _delay(seconds)}
                for place, (message, seconds) in enumerate(delayed[start : start + _SENT_AT_ONCE])
            ]
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


def _delay(seconds: int) -> int:
    return min(max(seconds, 0), LONGEST_DELAY_SECONDS)
