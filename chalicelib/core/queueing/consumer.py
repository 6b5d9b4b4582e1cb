"""The consumer: works on the messages of a batch, and reports the messages that must be delivered again.

SQS delivers at least once; `attempts` does each piece of work once. A failed message is delivered again after a pause.
The queue's own redrive policy is only a safety net: SQS dead-letters a message that was received `MOST_RECEIVES` times.
"""

from collections.abc import Sequence
from typing import Any

from chalicelib.core.queueing.attempts import Outcome, attempt
from chalicelib.core.queueing.delivery import ENOUGH_MS, Ended, Handle, Kind, Record, Together, deliver, piece, readable
from chalicelib.core.queueing.queues import Message, Queue
from chalicelib.core.runtime import deadline, logs


def _no_outbox(_message: Message, _outcome: Outcome) -> None:
    """Do nothing after a message; for queues without an outbox."""


def _each_alone(_messages: Sequence[Message]) -> None:
    """Do nothing before the messages of a batch; for handlers that work on each message alone."""


def run_batch(
    event: Any,
    queue: Queue,
    kind: type[Kind],
    handle: Handle[Kind],
    ended: Ended[Kind] = _no_outbox,
    *,
    together: Together[Kind] = _each_alone,
) -> dict[str, Any]:
    """Call *handle* with each message of *event*; return the failed messages to SQS (``ReportBatchItemFailures``).

    *handle* runs once per `Message.work_id`. After a crash *handle* may run again, with `Claim.taken_over`, and must
    then do the same work: for one message, or for the messages of a batch if the queue has ``finish="batch"``. *handle*
    raises `Poison` if the message can never succeed, and `Later` to choose the time of the next attempt. After any
    other error the next attempt follows a pause that doubles each time, with full jitter.

    *ended* is called with each settled message and its outcome, done or dead-lettered, and is called again if the
    process died before. An outbox ends the message's entry there.

    *together* is called with the new messages of a batch, if the queue has ``finish="batch"``, before *handle* is
    called with each: it may do their work at once, which *handle* then finds done. An error of *together* is logged.
    """

    def work(record: Record) -> Outcome:
        return _work(record, queue, kind, handle, ended)

    if queue.finish == "each":
        return deliver(event, queue, work)
    # A function of a queue without batches need not load the module.
    from chalicelib.core.queueing.batches import Batches  # noqa: PLC0415

    return deliver(event, queue, work, Batches(queue, kind, handle, ended, together).work)


def _work(record: Record, queue: Queue, kind: type[Kind], handle: Handle[Kind], ended: Ended[Kind]) -> Outcome:
    if (message := readable(record, queue, kind)) is None:
        return Outcome.DEAD
    logs.line().add(requestId=message.caused_by, workId=message.work_id)
    if not deadline.allows(ENOUGH_MS):
        return Outcome.LEFT
    outcome = attempt(piece(record, queue, message.work_id), lambda claim: handle(message, claim))
    ended(message, outcome)
    return outcome
