"""Sends messages to queues, and reads the depths of queues."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from chalicelib.core.errors import Unavailable
from chalicelib.core.models import Model
from chalicelib.core.queueing.dead_letters import ATTEMPTS, LETTER_ID, REASON, DeadLetter
from chalicelib.core.queueing.queues import LARGEST_MESSAGE_BYTES, LONGEST_DELAY_SECONDS, Message, Queue
from chalicelib.core.stores.driver_errors import reaching_aws

#: The limit of SendMessageBatch.
_SENT_AT_ONCE = 10
#: More than the attributes of a letter weigh.
_ATTRIBUTES_BYTES = 5_000


class Depth(Model):
    """The number of messages of a queue, as SQS reports: approximate."""

    pending: int
    processing: int
    #: Dead letters that SQS holds: not stored yet.
    dead: int


class Parcel(NamedTuple):
    """A message to send, visible after *delay_seconds*.

    *group*: the messages of a group share a queue fairly with the messages of other groups, so that a large group does
    not delay others (SQS, "fair queues").
    """

    message: Message
    delay_seconds: int = 0
    group: str = ""

    def request(self) -> dict[str, Any]:
        """Return the parameters of SendMessage."""
        sent = {"MessageBody": self.message.model_dump_json(), "DelaySeconds": _delay(self.delay_seconds)}
        # SQS takes 128 characters without spaces; a digest has 64.
        return sent | ({"MessageGroupId": hashlib.sha256(self.group.encode()).hexdigest()} if self.group else {})


class Sender:
    """Sends to queues and reads queue depths. *prefix* is the prefix of every queue's URL."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    def send(self, queue: Queue, message: Message, *, delay_seconds: int = 0, group: str = "") -> None:
        """Send *message*, as a `Parcel` says. After the return, SQS delivers *message* at least once."""
        with reaching_aws("sqs"):
            self._client.send_message(
                QueueUrl=self._prefix + queue.name, **Parcel(message, delay_seconds, group).request()
            )

    def send_all(self, queue: Queue, messages: Sequence[Message | Parcel]) -> None:
        """Send *messages*, ten per call. After the return, SQS delivers each message at least once.

        Raises:
            Unavailable: some messages may have been sent.
        """
        parcels = [each if isinstance(each, Parcel) else Parcel(each) for each in messages]
        for start in range(0, len(parcels), _SENT_AT_ONCE):
            entries = [
                {"Id": str(place), **parcel.request()}
                for place, parcel in enumerate(parcels[start : start + _SENT_AT_ONCE])
            ]
            self._send_batch(queue, entries)

    def dead_letter(self, queue: Queue, letter: DeadLetter) -> None:
        """Send *letter* to the dead-letter queue, where `keeper` takes it up. Of several copies one is kept."""
        attributes = {REASON: _text(letter.reason), LETTER_ID: _text(letter.id)}
        if letter.attempts is not None:
            attributes[ATTEMPTS] = _text(str(letter.attempts))
        with reaching_aws("sqs"):
            self._client.send_message(
                QueueUrl=self._prefix + queue.dead_letters, MessageBody=letter.body, MessageAttributes=attributes
            )

    def send_back(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        """Send *letters*, at most ten, back to *queue*, each with its reason.

        Raises:
            Unavailable: some letters may have been sent.
        """
        for some in _small_enough(letters):
            entries = [
                {"Id": str(place), "MessageBody": letter.body, "MessageAttributes": {REASON: _text(letter.reason)}}
                for place, letter in enumerate(some)
            ]
            self._send_batch(queue, entries)

    def _send_batch(self, queue: Queue, entries: Sequence[dict[str, Any]]) -> None:
        with reaching_aws("sqs"):
            answer = self._client.send_message_batch(QueueUrl=self._prefix + queue.name, Entries=entries)
        if answer.get("Failed"):
            raise Unavailable("A queue did not take every message.")

    def purge(self, queue: Queue) -> None:
        """Delete all messages of *queue*. AWS takes up to a minute."""
        with reaching_aws("sqs"):
            self._client.purge_queue(QueueUrl=self._prefix + queue.name)

    def postpone(self, queue: Queue, receipt: str, seconds: int) -> None:
        """Make SQS deliver the received message again after *seconds*."""
        with reaching_aws("sqs"):
            self._client.change_message_visibility(
                QueueUrl=self._prefix + queue.name, ReceiptHandle=receipt, VisibilityTimeout=seconds
            )

    def depth(self, queue: Queue) -> Depth:
        """Return the number of messages of *queue*."""
        waiting, dead = self._counts(queue.name), self._counts(queue.dead_letters)
        return Depth(
            pending=waiting["ApproximateNumberOfMessages"] + waiting["ApproximateNumberOfMessagesDelayed"],
            processing=waiting["ApproximateNumberOfMessagesNotVisible"],
            dead=sum(dead.values()),
        )

    def _counts(self, name: str) -> dict[str, int]:
        wanted = [f"ApproximateNumberOfMessages{suffix}" for suffix in ("", "NotVisible", "Delayed")]
        with reaching_aws("sqs"):
            answer = self._client.get_queue_attributes(QueueUrl=self._prefix + name, AttributeNames=wanted)
        return {name: int(value) for name, value in answer["Attributes"].items()}


def _delay(seconds: int) -> int:
    return min(max(seconds, 0), LONGEST_DELAY_SECONDS)


def _text(value: str) -> dict[str, str]:
    """Return *value* as the attribute of a message."""
    return {"DataType": "String", "StringValue": value}


def _small_enough(letters: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Yield *letters* in groups that together are no larger than the largest message, the limit of one call."""
    group: list[DeadLetter] = []
    weight = 0
    for letter in letters:
        own = len(letter.body.encode()) + _ATTRIBUTES_BYTES
        if group and weight + own > LARGEST_MESSAGE_BYTES:
            yield group
            group, weight = [], 0
        group.append(letter)
        weight += own
    if group:
        yield group
