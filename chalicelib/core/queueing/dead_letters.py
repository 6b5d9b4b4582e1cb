"""The dead letters of one queue: reading without removal, redrive, and purge.

A dead letter is sent back with all its attributes, as by AWS's own redrive. The attribute ``reason`` tells the worker
that the work was given up before and is to be tried once more.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.core.queueing.queues import Queue

    OnLetters = Callable[[int], None]

#: How long dead letters are hidden from other readers during inspection, and during a redrive.
PEEK_SECONDS, MOVE_SECONDS = 60, 900
#: The limit of one SQS call, in messages.
_BATCH = 10
#: A long poll asks every server of the queue; a short poll asks some of the servers.
_LOOK_SECONDS = 1
#: The reason of a message that SQS itself moved to the dead-letter queue.
_BY_SQS = "SQS gave it up: no attempt ended with an answer"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter."""

    id: str
    body: str
    reason: str
    #: The request that caused the message, or "" if the body is not readable.
    caused_by: str
    #: Since the message was dead-lettered; since the message was first sent, if SQS itself dead-lettered the message.
    age_seconds: float
    receipt: str
    attributes: dict[str, Any]


class DeadLetterQueue:
    """The dead-letter queue of *queue* in one stage."""

    def __init__(self, client: Any, prefix: str, queue: Queue) -> None:
        self._client, self.queue = client, queue
        self._queue_url, self._dead_url = prefix + queue.name, prefix + queue.dead_letters
        self._held: dict[str, DeadLetter] = {}

    @contextmanager
    def held(self, seconds: int, most: int | None = None, on_letters: OnLetters = lambda _: None) -> Iterator[None]:
        """Hold up to *most* dead letters during the block, as `letters`; afterwards release the rest.

        If this process dies, the dead letters become visible again after *seconds*. *on_letters* is called with the
        number of dead letters of each read.
        """
        try:
            while (most is None or len(self._held) < most) and (found := self._received(seconds, most)):
                self._held |= {letter.id: letter for letter in found}
                on_letters(len(found))
            yield
        finally:
            self._release()

    @property
    def letters(self) -> list[DeadLetter]:
        """The held dead letters, oldest first."""
        return sorted(self._held.values(), key=lambda letter: -letter.age_seconds)

    def send_back(self, letter: DeadLetter) -> None:
        """Redrive *letter*. If the process dies half-way, *letter* is in both queues; the work is still done once."""
        reason = {"reason": {"DataType": "String", "StringValue": letter.reason}}
        self._client.send_message(
            QueueUrl=self._queue_url, MessageBody=letter.body, MessageAttributes={**reason, **letter.attributes}
        )
        self._client.delete_message(QueueUrl=self._dead_url, ReceiptHandle=letter.receipt)
        del self._held[letter.id]

    def purge(self, *, waiting: bool = False) -> None:
        """Delete all dead letters, or with *waiting* all messages of the queue itself. AWS takes up to a minute."""
        self._client.purge_queue(QueueUrl=self._queue_url if waiting else self._dead_url)

    def _received(self, seconds: int, most: int | None) -> list[DeadLetter]:
        wanted = _BATCH if most is None else min(_BATCH, most - len(self._held))
        answer = self._client.receive_message(
            QueueUrl=self._dead_url,
            MaxNumberOfMessages=wanted,
            VisibilityTimeout=seconds,
            WaitTimeSeconds=_LOOK_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        return [_letter(message) for message in answer.get("Messages", [])]

    def _release(self) -> None:
        letters = list(self._held.values())
        for start in range(0, len(letters), _BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                for number, letter in enumerate(letters[start : start + _BATCH])
            ]
            self._client.change_message_visibility_batch(QueueUrl=self._dead_url, Entries=entries)
        self._held.clear()


def prefix_of(client: Any, stage: str, queues: Sequence[Queue]) -> str:
    """Return the prefix of the URL of every queue of *stage*, in the account of the client."""
    name = queues[0].name
    url: str = client.get_queue_url(QueueName=f"holdfast-{stage}-{name}")["QueueUrl"]
    return url.removesuffix(name)


def _letter(message: dict[str, Any]) -> DeadLetter:
    attributes = {name: _sendable(value) for name, value in message.get("MessageAttributes", {}).items()}
    return DeadLetter(
        id=message["MessageId"],
        body=message["Body"],
        reason=attributes.get("reason", {}).get("StringValue", _BY_SQS),
        caused_by=_caused_by(message["Body"]),
        age_seconds=time.time() - int(message["Attributes"]["SentTimestamp"]) / 1000,
        receipt=message["ReceiptHandle"],
        attributes=attributes,
    )


def _sendable(attribute: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attribute.items() if name in {"DataType", "StringValue", "BinaryValue"}}


def _caused_by(body: str) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("causedBy", "")) if isinstance(found, dict) else ""
