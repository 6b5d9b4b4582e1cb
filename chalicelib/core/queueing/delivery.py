"""Deliveries: the records of an SQS event, each with a log record, and redelivered after a pause unless settled.

A record fails alone: its error postpones the record, and no other record of the event.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from chalicelib.core.coordination.claims import Claim
from chalicelib.core.errors import ServiceError
from chalicelib.core.queueing import wiring
from chalicelib.core.queueing.attempts import BACKOFF, Outcome, Piece, Poison, Retry, attempt
from chalicelib.core.queueing.queues import LONGEST_HIDDEN_SECONDS, Message, Queue
from chalicelib.core.runtime import deadline, logs
from chalicelib.core.runtime.logs import LogRecord

Kind = TypeVar("Kind", bound=Message)
Result = TypeVar("Result", bound=Outcome | None)
#: Does the work of a message. Raises `Poison` or `Later`, as `attempts.attempt` says.
Handle = Callable[[Kind, Claim], None]
#: Does the work of several messages together, before `Handle` is called with each.
Together = Callable[[Sequence[Kind]], None]
#: Is called with each settled message, and with how its last attempt ended.
Ended = Callable[[Kind, Outcome], None]

#: With less time left, the rest of a batch is delivered again to another invocation.
ENOUGH_MS = 3_000


Settled = Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of an SQS event."""

    body: str
    message_id: str
    receipt: str
    receives: int
    #: Whether the message was dead-lettered before: the message carries the reason that `Sender.dead_letter` has added.
    sent_back: bool


def _none(_records: Sequence[Record]) -> Settled:
    return {}


def deliver(
    event: Any, queue: Queue, work: Callable[[Record], Outcome], together: Callable[[Sequence[Record]], Settled] = _none
) -> dict[str, Any]:
    """Call *together* with the records of *event*, then *work* with each left, in turn; return the unsettled to SQS.

    An error of *work* postpones the record: by the pause of a `Retry`, else by a pause that grows with each delivery.
    *together* says by message id whether the records it worked on are settled.
    """
    with deadline.bind(event.context):
        records = [_record(record) for record in event.to_dict()["Records"]]
        settled = dict(together(records))
        for record in records:
            if record.message_id not in settled:
                settled[record.message_id] = _settled(record, queue, work)
    failed = [record.message_id for record in records if not settled[record.message_id]]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def readable(record: Record, queue: Queue, kind: type[Kind]) -> Kind | None:
    """Return the message of *record*, or None after an unreadable record was dead-lettered, and counted once."""
    try:
        return kind.model_validate_json(record.body)
    except ValidationError as error:
        reason = _unreadable(error)

    def refuse(_: Claim) -> None:
        raise Poison(reason)

    # The message has no readable business id. The claim counts the failure once, as for every message given up.
    attempt(piece(record, queue, f"unreadable/{record.message_id}"), refuse)
    return None


def _settled(record: Record, queue: Queue, work: Callable[[Record], Outcome]) -> bool:
    """Return whether the message is settled, done or given up; print the message's log record."""
    with logs.invocation("message") as line:
        describe(line, record, queue)
        outcome = outcome_of(record, queue, work)
        note(line, outcome)
    return outcome.settled


def describe(line: LogRecord, record: Record, queue: Queue) -> None:
    """Add the delivery to the message's log record."""
    line.add(queue=queue.name, messageId=record.message_id, receives=record.receives)


def note(line: LogRecord, outcome: Outcome) -> None:
    """Add the outcome to the message's log record, also as a metric."""
    line.add(outcome=outcome)
    line.count(f"messages{outcome.metric}")


def outcome_of(record: Record, queue: Queue, work: Callable[[Record], Result]) -> Result | Outcome:
    """Call *work* with *record* and return the outcome; after an error, postpone the record."""
    try:
        outcome = work(record)
    except Retry as retry:
        log(retry.__cause__ or retry)
        _postpone(record, queue, max(retry.after_seconds, 1))
        return Outcome.AGAIN
    except Exception as error:  # noqa: BLE001 # the outermost edge of a worker: SQS delivers the message again
        log(error)
        _postpone(record, queue, max(BACKOFF.seconds(record.receives), 1))
        return Outcome.AGAIN
    if outcome is Outcome.LEFT:
        # Another invocation may begin the message at once.
        _postpone(record, queue, 0)
    return outcome


def _postpone(record: Record, queue: Queue, seconds: float) -> None:
    try:
        wiring.sender().postpone(queue, record.receipt, min(math.ceil(seconds), LONGEST_HIDDEN_SECONDS))
    except Exception as failure:  # noqa: BLE001 # SQS then delivers again after the visibility timeout
        logs.failed("postpone_failed", failure)


def log(error: BaseException) -> None:
    """Log the error of a failed attempt: a reason for an error of this service, else a traceback."""
    if isinstance(error, ServiceError):
        logs.line().add(why=str(error))
    else:
        logs.failed("message_failed", error)


def _unreadable(error: ValidationError) -> str:
    """Return the reason for an unreadable message: each invalid field, without its value."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "unreadable: " + "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)


def piece(record: Record, queue: Queue, work_id: str) -> Piece:
    """Return the piece of work that *record* brought."""
    return Piece(
        queue=queue, work_id=work_id, body=record.body, message_id=record.message_id, sent_back=record.sent_back
    )


def _record(record: dict[str, Any]) -> Record:
    return Record(
        body=record["body"],
        message_id=record["messageId"],
        receipt=record["receiptHandle"],
        receives=int(record["attributes"]["ApproximateReceiveCount"]),
        sent_back="reason" in record.get("messageAttributes", {}),
    )
