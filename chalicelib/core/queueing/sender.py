"""Sends messages to queues, and reads the depths of queues."""

from collections.abc import Sequence
from typing import Any

from chalicelib.core.errors import Unavailable
from chalicelib.core.models import Model
from chalicelib.core.queueing.queues import LONGEST_DELAY_SECONDS, Message, Queue
from chalicelib.core.stores.driver_errors import reaching_aws

#: The limit of SendMessageBatch.
_SENT_AT_ONCE = 10


class Depth(Model):
    """The number of messages of a queue, as SQS reports: approximate."""

    pending: int
    processing: int
    dead: int


class Sender:
    """Sends to queues and reads queue depths. *prefix* is the prefix of every queue's URL."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    def send(self, queue: Queue, message: Message, *, delay_seconds: int = 0) -> None:
        """Send *message*, visible after *delay_seconds*. After the return, SQS delivers *message* at least once."""
        with reaching_aws():
            self._client.send_message(
                QueueUrl=self._prefix + queue.name,
                MessageBody=message.model_dump_json(),
                DelaySeconds=_delay(delay_seconds),
            )

    def send_all(self, queue: Queue, messages: Sequence[Message], delays_seconds: Sequence[int] = ()) -> None:
        """Send *messages*, ten per call, each visible after its delay in *delays_seconds*; empty means no delays.

        After the return, SQS delivers each message at least once.

        Raises:
            Unavailable: some messages may have been sent.
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

    def dead_letter(self, queue: Queue, body: str, reason: str) -> None:
        """Send *body* to the dead-letter queue, with *reason*."""
        with reaching_aws():
            self._client.send_message(
                QueueUrl=self._prefix + queue.dead_letters,
                MessageBody=body,
                MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
            )

    def postpone(self, queue: Queue, receipt: str, seconds: int) -> None:
        """Make SQS deliver the received message again after *seconds*."""
        with reaching_aws():
            self._client.change_message_visibility(
                QueueUrl=self._prefix + queue.name, ReceiptHandle=receipt, VisibilityTimeout=seconds
            )

    def depth(self, queue: Queue) -> Depth:
        """Return the number of messages of *queue*."""
        waiting, dead = self._counts(queue.name), self._counts(queue.dead_letters)
        # Dead letters under inspection are invisible but still count.
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
