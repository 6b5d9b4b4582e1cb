"""The consumer: works on the messages of a batch in turn, each message once, and reports failures per message.

SQS delivers at least once. So the worker claims the work under its business id beforehand; afterwards one transaction
finishes the claim and raises the queue's count. A failed message is delivered again. A message that can never succeed,
or has used up its attempts, is dead-lettered with a reason. A dead letter that is sent back is worked on again. The
queue's own redrive policy is the safety net for messages that kill their worker every time; such a dead letter has no
reason and was not counted.
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

#: A claim outlives every copy of its message: the retention of the queue, of the dead-letter queue, and a day.
_CLAIM_SECONDS = 2 * RETENTION_SECONDS + 24 * 3600
#: With less time left, the rest of a batch is delivered again to another invocation.
_ENOUGH_MS = 3_000
_BACKOFF = Backoff(first_seconds=2, longest_seconds=LONGEST_DELAY_SECONDS)

#: The results of a finished claim: done, or failed, followed by the id of the failed message and the reason.
_DONE, _FAILED = "done", "failed"
#: Characters that SQS does not take as text; a reason may quote any text.
_NO_TEXT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST_REASON = 1_000


#: Outcomes after which SQS delivers the message once more.
_DELIVERED_AGAIN = frozenset({"again", "left"})


def _no_outbox(_message: Message) -> None:
    """Do nothing after a message; for queues without an outbox."""


class Poison(ServiceError):
    """The message can never succeed."""


class Later(ServiceError):
    """The message cannot be settled yet; *after_seconds* says when to try again, if known."""

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
    #: Whether the message was dead-lettered before: the message carries the reason that `Sender.dead_letter` has added.
    sent_back: bool


def run_batch(
    event: Any, queue: Queue, kind: type[Kind], handle: Handle[Kind], ended: Ended[Kind] = _no_outbox
) -> dict[str, Any]:
    """Call *handle* with each message of *event*; return the failed messages to SQS (``ReportBatchItemFailures``).

    *handle* runs once per `Message.work_id`. After a crash *handle* may run again, with `Claim.taken_over`, and must
    then do the same work. *handle* raises `Poison` if the message can never succeed, and `Later` to choose the time of
    the next attempt. After any other error the next attempt follows a pause that doubles each time, with full jitter.

    *ended* is called with each settled message, done or given up, and is called again if the process died before. An
    outbox ends the message's entry there.
    """
    with deadline.bind(event.context):
        records = [_record(record) for record in event.to_dict()["Records"]]
        failed = [record.message_id for record in records if not _settled(record, queue, kind, handle, ended)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _settled(record: _Record, queue: Queue, kind: type[Kind], handle: Handle[Kind], ended: Ended[Kind]) -> bool:
    """Return whether the message is settled, done or given up; print the message's log record."""
    with logs.invocation("message") as line:
        line.add(queue=queue.name, messageId=record.message_id, receives=record.receives)
        try:
            outcome = _work(record, queue, kind, handle, ended)
        except Exception as error:  # noqa: BLE001 # the outermost edge of a worker: SQS delivers the message again
            outcome = _postpone(record, queue, error)
        line.add(outcome=outcome)
        line.count(f"messages{outcome[0].upper()}{outcome[1:]}")
    return outcome not in _DELIVERED_AGAIN


def _work(record: _Record, queue: Queue, kind: type[Kind], handle: Handle[Kind], ended: Ended[Kind]) -> str:
    try:
        message = kind.model_validate_json(record.body)
    except ValidationError as error:
        reason = _unreadable(error)

        def refuse(_: Claim) -> None:
            raise Poison(reason)

        # The message has no readable business id. The claim counts the failure once, as for every message given up.
        return _once(record, queue, f"unreadable/{record.message_id}", refuse)
    logs.line().add(requestId=message.caused_by, workId=message.work_id)
    outcome = _once(record, queue, message.work_id, lambda claim: handle(message, claim))
    if outcome not in _DELIVERED_AGAIN:
        ended(message)
    return outcome


def _once(record: _Record, queue: Queue, work_id: str, work: Callable[[Claim], None]) -> str:
    """Do the work, unless the work was done, or was given up and the message was not sent back."""
    if not deadline.allows(_ENOUGH_MS):
        return "left"
    key = f"{queue.name}/{work_id}"
    try:
        claim = coordination.claims().begin(key, ttl_seconds=_CLAIM_SECONDS)
    except AlreadyDone as done:
        if done.result == _DONE:
            return "repeated"
        _, failed_id, reason = done.result.split(" ", 2)
        # A dead letter that is sent back gets a new message id. The same id means a second delivery, or a worker that
        # died between counting and dead-lettering: then the work is not to be tried once more.
        if not record.sent_back or failed_id == record.message_id:
            wiring.sender().dead_letter(queue, record.body, reason)
            return "deadLettered"
        claim = coordination.claims().reopen(key, done.result, ttl_seconds=_CLAIM_SECONDS)
    return _run(record, queue, claim, work)


def _run(record: _Record, queue: Queue, claim: Claim, work: Callable[[Claim], None]) -> str:
    try:
        work(claim)
    except Poison as error:
        return _dead_letter(record, queue, claim, str(error))
    except Exception as error:
        if record.receives >= queue.attempts:
            if not isinstance(error, ServiceError):
                logs.failed("message_given_up", error)
            return _dead_letter(record, queue, claim, f"after {record.receives} attempts: {_reason(error)}")
        coordination.claims().abandon(claim)
        raise
    coordination.claims().finish(claim, _DONE, also=[coordination.counts().adding(queue.name, "completed")])
    return "done"


def _dead_letter(record: _Record, queue: Queue, claim: Claim, reason: str) -> str:
    """Count the failure with the claim, then dead-letter. After a crash in between, the next delivery dead-letters."""
    reason = _NO_TEXT.sub("?", reason)[:_LONGEST_REASON] or "no reason was given"
    also = [coordination.counts().adding(queue.name, "failed")]
    coordination.claims().finish(claim, f"{_FAILED} {record.message_id} {reason}", also=also)
    logs.line().add(why=reason)
    wiring.sender().dead_letter(queue, record.body, reason)
    return "deadLettered"


def _postpone(record: _Record, queue: Queue, error: Exception) -> str:
    """Postpone the message: by the time of `Later`, else by a pause that grows, with full jitter."""
    asked = error.after_seconds if isinstance(error, Later) else None
    seconds = _BACKOFF.seconds(record.receives) if asked is None else asked
    if isinstance(error, ServiceError):
        logs.line().add(why=str(error))
    else:
        logs.failed("message_failed", error)
    try:
        wiring.sender().postpone(queue, record.receipt, min(max(math.ceil(seconds), 1), LONGEST_DELAY_SECONDS))
    except Exception as failure:  # noqa: BLE001 # SQS then delivers again after the visibility timeout
        logs.failed("postpone_failed", failure)
    return "again"


def _reason(error: Exception) -> str:
    # Only errors of this service have messages that are safe to show.
    return str(error) if isinstance(error, ServiceError) else type(error).__name__


def _unreadable(error: ValidationError) -> str:
    """Return the reason for an unreadable message: each invalid field, without its value."""
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
