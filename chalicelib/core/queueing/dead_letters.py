"""The dead letters of one queue: read without being taken away, sent back, thrown away.

A letter is sent back with all it carries, as AWS's own redrive does it: by its ``reason`` the worker knows that this
work was given up and is to be tried once more.
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

#: How long letters are hidden from others while we look at them, and while we move them.
PEEK_SECONDS, MOVE_SECONDS = 60, 900
#: As many as SQS hands out, or takes back, at a time.
_AT_A_TIME = 10
#: A long poll asks every server that may hold a letter; a short one asks some.
_LOOK_SECONDS = 1
#: What is said of a letter that no worker could say anything of.
_BY_SQS = "SQS gave it up: no attempt ended with an answer"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter."""

    id: str
    body: str
    reason: str
    #: The request that caused it, where that can be read.
    caused_by: str
    #: Since it was buried; since it was first sent, where SQS itself buried it.
    age_seconds: float
    receipt: str
    attributes: dict[str, Any]


class DeadLetterQueue:
    """The dead-letter queue of *queue* in one stage."""

    def __init__(self, client: Any, prefix: str, queue: Queue) -> None:
        self._client, self.queue = client, queue
        self._alive, self._dead = prefix + queue.name, prefix + queue.dead_letters
        self._held: dict[str, DeadLetter] = {}

    @contextmanager
    def held(self, seconds: int, most: int | None = None, on_letters: OnLetters = lambda _: None) -> Iterator[None]:
        """Hold up to *most* letters, which are then `letters`; those still here at the end are let go.

        If this process dies they are seen again after *seconds*. *on_letters* is told how many came.
        """
        try:
            while (most is None or len(self._held) < most) and (found := self._received(seconds, most)):
                self._held |= {letter.id: letter for letter in found}
                on_letters(len(found))
            yield
        finally:
            self._let_go()

    @property
    def letters(self) -> list[DeadLetter]:
        """What is held, oldest first."""
        return sorted(self._held.values(), key=lambda letter: -letter.age_seconds)

    def send_back(self, letter: DeadLetter) -> None:
        """Have *letter* worked on again. Dying half-way leaves it in both queues, and its work is still done once."""
        reason = {"reason": {"DataType": "String", "StringValue": letter.reason}}
        self._client.send_message(
            QueueUrl=self._alive, MessageBody=letter.body, MessageAttributes={**reason, **letter.attributes}
        )
        self._client.delete_message(QueueUrl=self._dead, ReceiptHandle=letter.receipt)
        del self._held[letter.id]

    def purge(self, *, waiting: bool = False) -> None:
        """Delete every letter, or with *waiting* every message that has not been worked on. AWS takes a minute."""
        self._client.purge_queue(QueueUrl=self._alive if waiting else self._dead)

    def _received(self, seconds: int, most: int | None) -> list[DeadLetter]:
        wanted = _AT_A_TIME if most is None else min(_AT_A_TIME, most - len(self._held))
        answer = self._client.receive_message(
            QueueUrl=self._dead,
            MaxNumberOfMessages=wanted,
            VisibilityTimeout=seconds,
            WaitTimeSeconds=_LOOK_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        return [_letter(message) for message in answer.get("Messages", [])]

    def _let_go(self) -> None:
        letters = list(self._held.values())
        for start in range(0, len(letters), _AT_A_TIME):
            entries = [
                {"Id": str(number), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                for number, letter in enumerate(letters[start : start + _AT_A_TIME])
            ]
            self._client.change_message_visibility_batch(QueueUrl=self._dead, Entries=entries)
        self._held.clear()


def prefix_of(client: Any, stage: str, queues: Sequence[Queue]) -> str:
    """Return what the address of every queue of *stage* begins with, in whatever account the client is."""
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
