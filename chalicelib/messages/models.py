"""Messages between users, and their shapes over HTTP and in frames (no I/O)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, JsonValue, StringConstraints, ValidationError, WrapValidator
from pydantic.functional_validators import ModelWrapValidatorHandler

from chalicelib.core.models import Id, Instant, Model, Username
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.web.messages import message as sentence

#: The largest message: the bytes of its text as JSON in UTF-8.
LARGEST_BYTES = 65_536
#: The most messages of one batch over HTTP.
MOST_IN_BATCH = 100
#: The digits of a ULID, of which the first ten are its time.
_DIGITS, _TIME_DIGITS, _RANDOM_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ", 10, 16
#: Added to the place of a message of normal priority, so that every message of high priority comes before.
_NORMAL_FROM = 1 << 40

ChatId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ClientMessageId = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Priority(StrEnum):
    """Undelivered messages of high priority are offered before all others."""

    HIGH = "high"
    NORMAL = "normal"


class Status(StrEnum):
    """How far a message has come, in receipts and answers."""

    #: Stored, and not acknowledged yet.
    BUFFERED = "buffered"
    #: In the queue, while MongoDB is down.
    QUEUED = "queued"
    #: Acknowledged by a device of the receiver.
    DELIVERED = "delivered"
    #: Shown to the receiver, as a device said.
    READ = "read"
    #: Not taken.
    REFUSED = "refused"


class NewMessage(Model):
    """A message to send."""

    to: Username = Field(description="the user who gets the message")
    chat_id: ChatId = Field(description="the conversation, named by the apps")
    message: Annotated[str, Field(min_length=1, description="the text; 64 KB at most, as JSON in UTF-8")]
    client_message_id: ClientMessageId | None = Field(
        default=None, description="the sender's own id of the message: the same id is stored once"
    )
    priority: Annotated[Priority, Field(strict=False)] = Priority.NORMAL

    @property
    def size_bytes(self) -> int:
        """The bytes of the text as JSON in UTF-8."""
        return len(json.dumps(self.message, ensure_ascii=False).encode())

    @property
    def texts_bytes(self) -> int:
        """The bytes of everything that the sender chose, as JSON in UTF-8."""
        chosen = [self.message, self.chat_id, self.client_message_id]
        return len(json.dumps(chosen, ensure_ascii=False).encode())


@dataclass(frozen=True, slots=True)
class Faults:
    """A message of a batch that cannot be read: each invalid field with a sentence."""

    errors: tuple[tuple[str, str], ...]
    client_message_id: str | None


def _alone(value: Any, handler: ModelWrapValidatorHandler[NewMessage]) -> Any:
    """Return the message, or its `Faults`: an invalid message of a batch refuses no other."""
    try:
        return handler(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        given = value.get("clientMessageId") if isinstance(value, dict) else None
        errors = tuple((".".join(map(str, fault["loc"])), sentence(fault)) for fault in found)
        return Faults(errors, given if isinstance(given, str) else None)


class NewMessages(Model):
    """A batch of messages, each answered for itself."""

    messages: Annotated[list[Annotated[NewMessage, WrapValidator(_alone)]], Field(min_length=1, max_length=100)]


class Sent(Model):
    """A message that was taken: ``buffered``, ``queued``, or ``delivered`` for a repeat of an acknowledged one."""

    message_id: Id
    status: Status


class Result(Model):
    """The answer to one message of a batch. A refused message has a *problem* (RFC 9457) in place of an id."""

    message_id: Id | None
    client_message_id: str | None
    status: Status
    problem: dict[str, JsonValue] | None


class Results(Model):
    """The answers to a batch, in its order."""

    results: list[Result]


class Deleted(Model):
    """How many undelivered messages were deleted."""

    deleted: int


class Undelivered(Model):
    """The undelivered messages of one receiver."""

    username: str
    undelivered: int
    oldest_undelivered_at: Instant | None


class BufferStats(Model):
    """How many messages are kept, and the twenty receivers with the most undelivered ones."""

    undelivered: int
    delivered: int
    oldest_undelivered_at: Instant | None
    by_receiver: list[Undelivered]


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a day: the undelivered messages, and how many of the messages of seven days were delivered."""

    undelivered: int
    sent: int
    delivered: int
    storage_bytes: int

    @property
    def success_percent(self) -> int:
        """The part of the sent messages that was delivered, rounded down; 100 without any."""
        return self.delivered * 100 // self.sent if self.sent else 100


class Message(Model):
    """A stored message, for its receiver."""

    message_id: Id
    sender: str = Field(alias="from", description="the name of the sender")
    chat_id: str
    message: str
    client_message_id: str | None
    priority: Annotated[Priority, Field(strict=False)]
    seq: int = Field(description="the order of the receiver's messages; gaps mean nothing")
    created_at: Instant
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class Kept:
    """A message as stored after a send: the new one, or an earlier one with the same ids."""

    message_id: str
    receiver: Account
    message: Message
    status: Status
    #: Whether this send stored the message.
    new: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """How far a message has come, for its sender's account."""

    sender: Account
    message_id: str
    client_message_id: str | None
    status: Status
    device: str | None


def place(seq: int, priority: Priority) -> int:
    """Return the position of an undelivered message in its receiver's order: high first, then by *seq*."""
    return seq if priority is Priority.HIGH else seq + _NORMAL_FROM


def item_id(operation_id: str, number: int) -> str:
    """Return the message id of item *number* of a batch: the same for each attempt of the operation."""
    digest = int.from_bytes(hashlib.sha256(f"{operation_id} {number}".encode()).digest()[:_RANDOM_DIGITS], "big")
    digits = (_DIGITS[digest >> 5 * place & 31] for place in range(_RANDOM_DIGITS))
    return operation_id[:_TIME_DIGITS] + "".join(digits)


def message_of(found: Mapping[str, Any]) -> Message:
    """Return a stored document as a message.

    Raises:
        ValueError, KeyError: the document has another form.
    """
    shown = {"messageId": found["_id"], "from": found["fromName"], "expiresAt": found["purgeAt"]}
    shown |= {name: found[name] for name in ("chatId", "message", "clientMessageId", "priority", "seq", "createdAt")}
    return Message.model_validate(shown, strict=False)


def pushed(message: Message) -> dict[str, Any]:
    """Return the event of a message for its receiver's connections."""
    return {"event": "chat_message", **message.model_dump(mode="json")}
