"""Batches: one message at a time, each worked on once, each answered for by itself.

SQS delivers at least once, so the work is claimed under its business id before it begins and the claim is finished,
with the queue's count, in one transaction after it. A message that fails comes again; one that never can succeed, or
has used up its attempts, is buried in the dead-letter queue with its reason. A letter that is sent back is worked on
again. The queue's own redrive policy is the net below: it catches what kills its worker every time, and such a letter
has no reason and was not counted.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.coordination.errors import AlreadyDone
from chalicelib.core.errors import ServiceError
from chalicelib.core.queueing import wiring
from chalicelib.core.queueing.queues import LONGEST_DELAY_SECONDS, RETENTION_SECONDS, Message, Queue
from chalicelib.core.runtime import deadline, logs
from chalicelib.core.runtime.backoff import Backoff

Kind = TypeVar("Kind", bound=Message)
Handle = Callable[[Kind, Claim], None]
Ended = Callable[[Kind], None]

#: A claim outlives every copy of its message: its time in the queue, its time among the dead, and a day.
_CLAIM_SECONDS = 2 * RETENTION_SECONDS + 24 * 3600
#: With less than this left, the rest of a batch is left to the next function.
_ENOUGH_MS = 3_000
_BACKOFF = Backoff(first_seconds=2, longest_seconds=LONGEST_DELAY_SECONDS)

#: What a finished claim says: the work is done, or was given up, with the message that failed and why.
_DONE, _FAILED = "done", "failed"
#: What SQS takes as text; a reason may quote anything.
_NOT_TEXT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST_REASON = 1_000


#: Outcomes after which SQS delivers the message once more.
_COMES_AGAIN = frozenset({"again", "left"})


def _nothing(_message: Message) -> None:
    """Do nothing when a message has ended: for queues without an outbox."""


class Poison(ServiceError):
    """This message can never succeed."""


class Later(ServiceError):
    """This message cannot be settled yet; *after_seconds* says when to try again, if anyone knows."""

    def __init__(self, detail: str, after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.after_seconds = after_seconds


@dataclass(frozen=True, slots=True)
class _Record:
    """One record of an SQS event."""

    body: str
    message_id: str
    receipt: str
    receives: int
    #: It was buried once: `Sender.bury` gave it the reason that it still carries.
    sent_back: bool


def run_batch(
    event: Any, queue: Queue, kind: type[Kind], handle: Handle[Kind], ended: Ended[Kind] = _nothing
) -> dict[str, Any]:
    """Give *handle* each message of *event* and answer which of them must come again (``ReportBatchItemFailures``).

    *handle* runs once per `Message.work_id`; it may run again after a crash, under a claim that says so, and must then
    do the same. It raises `Poison` for what can never succeed, `Later` to choose when to be asked again, and anything
    else to be asked again after a pause that doubles with each attempt, with full jitter.

    *ended* is called with each message that was settled, done or given up; also again, if the process died before. An
    outbox ends the message's entry there.
    """
    with deadline.bind(event.context):
        records = [_record(record) for record in event.to_dict()["Records"]]
        failed = [record.message_id for record in records if not _settled(record, queue, kind, handle, ended)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _settled(record: _Record, queue: Queue, kind: type[Kind], handle: Handle[Kind], ended: Ended[Kind]) -> bool:
    """Return whether the message is done with, one way or another; print its one line."""
    with logs.invocation("message") as line:
        line.add(queue=queue.name, messageId=record.message_id, receives=record.receives)
        try:
            outcome = _work(record, queue, kind, handle, ended)
        except Exception as error:  # noqa: BLE001 # the outermost edge of a worker: the message comes again
            outcome = _again(record, queue, error)
        line.add(outcome=outcome)
        line.count(f"messages{outcome.title()}")
    return outcome not in _COMES_AGAIN


def _work(record: _Record, queue: Queue, kind: type[Kind], handle: Handle[Kind], ended: Ended[Kind]) -> str:
    try:
        message = kind.model_validate_json(record.body)
    except ValidationError as error:
        reason = _faults(error)

        def refuse(_: Claim) -> None:
            raise Poison(reason)

        # It has no business id that could be read. The claim has it counted once, as all that is given up.
        return _once(record, queue, f"unreadable/{record.message_id}", refuse)
    logs.line().add(requestId=message.caused_by, workId=message.work_id)
    outcome = _once(record, queue, message.work_id, lambda claim: handle(message, claim))
    if outcome not in _COMES_AGAIN:
        ended(message)
    return outcome


def _once(record: _Record, queue: Queue, work_id: str, work: Callable[[Claim], None]) -> str:
    """Do the work unless it was done, or was given up and nobody has asked for it again."""
    if not deadline.allows(_ENOUGH_MS):
        return "left"
    key = f"{queue.name}/{work_id}"
    try:
        claim = coordination.claims().begin(key, ttl_seconds=_CLAIM_SECONDS)
    except AlreadyDone as done:
        if done.result == _DONE:
            return "repeated"
        _, failed_id, reason = done.result.split(" ", 2)
        # The letter that was sent back is another message to SQS. The same one means that whoever counted the failure
        # died before it was buried, or a second delivery: then it is not for us to try once more.
        if not record.sent_back or failed_id == record.message_id:
            wiring.sender().bury(queue, record.body, reason)
            return "buried"
        claim = coordination.claims().reopen(key, done.result, ttl_seconds=_CLAIM_SECONDS)
    return _done(record, queue, claim, work)


def _done(record: _Record, queue: Queue, claim: Claim, work: Callable[[Claim], None]) -> str:
    try:
        work(claim)
    except Poison as error:
        return _bury(record, queue, claim, str(error))
    except Exception as error:
        if record.receives >= queue.attempts:
            if not isinstance(error, ServiceError):
                logs.failed("message_given_up", error)
            return _bury(record, queue, claim, f"after {record.receives} attempts: {_reason(error)}")
        coordination.claims().abandon(claim)
        raise
    coordination.claims().finish(claim, _DONE, also=[coordination.counts().adding(queue.name, "completed")])
    return "done"


def _bury(record: _Record, queue: Queue, claim: Claim, reason: str) -> str:
    """Count the failure with the claim, then bury. Dying in between, the message comes again and is buried then."""
    reason = _NOT_TEXT.sub("?", reason)[:_LONGEST_REASON] or "no reason was given"
    also = [coordination.counts().adding(queue.name, "failed")]
    coordination.claims().finish(claim, f"{_FAILED} {record.message_id} {reason}", also=also)
    logs.line().add(why=reason)
    wiring.sender().bury(queue, record.body, reason)
    return "buried"


def _again(record: _Record, queue: Queue, error: Exception) -> str:
    """Say when the message shall come again: when `Later` says, else after a pause that grows, with full jitter."""
    asked = error.after_seconds if isinstance(error, Later) else None
    seconds = _BACKOFF.seconds(record.receives) if asked is None else asked
    if isinstance(error, ServiceError):
        logs.line().add(why=str(error))
    else:
        logs.failed("message_failed", error)
    try:
        wiring.sender().postpone(queue, record.receipt, min(max(math.ceil(seconds), 1), LONGEST_DELAY_SECONDS))
    except Exception as failure:  # noqa: BLE001 # then it comes again after the queue's visibility timeout
        logs.failed("postpone_failed", failure)
    return "again"


def _reason(error: Exception) -> str:
    # Only our own errors are worded for others to read.
    return str(error) if isinstance(error, ServiceError) else type(error).__name__


def _faults(error: ValidationError) -> str:
    """Return what cannot be read, by field, without a value."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "unreadable: " + "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)


def _record(record: dict[str, Any]) -> _Record:
    return _Record(
        body=record["body"],
        message_id=record["messageId"],
        receipt=record["receiptHandle"],
        receives=int(record["attributes"]["ApproximateReceiveCount"]),
        sent_back="reason" in record.get("messageAttributes", {}),
    )
