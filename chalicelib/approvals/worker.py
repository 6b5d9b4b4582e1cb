"""Works off the ``approval`` queue (notify, escalate, expire, call back), and runs the sweep."""

from datetime import datetime
from typing import Any

from pydantic import JsonValue

from chalicelib import devices
from chalicelib.approvals import callback, outbox, wiring
from chalicelib.approvals.errors import ApprovalNotFound
from chalicelib.approvals.models import Approval, Seen, SideEffect, Status
from chalicelib.approvals.queues import APPROVAL, Task
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.queueing.consumer import Later, run_batch
from chalicelib.core.runtime import logs
from chalicelib.core.runtime.accounts import Account

#: The title of a notification if the question has no title.
_NO_TITLE = "Your answer is needed"


def work(event: Any) -> dict[str, Any]:
    """Do each side effect of *event* once. Repeats are harmless: devices and receivers recognise the request's id."""
    return run_batch(event, APPROVAL, Task, _handle, outbox.end)


def sweep() -> int:
    """Record every overdue request as timed out, and dispatch outbox entries due soon. Return the number of timeouts.

    Safe to repeat: each timeout is recorded once, and each side effect is done once.
    """
    timed_out = wiring.store().expire_all()
    logs.line().count("approvalsTimedOut", timed_out)
    logs.line().count("effectsSwept", wiring.outbox().sweep())
    return timed_out


def next_due() -> datetime | None:
    """Return the earliest moment at which a side effect is due or a request times out, or None."""
    moments = (wiring.outbox().next_due(), wiring.store().next_expiry())
    return min((moment for moment in moments if moment), default=None)


def _handle(task: Task, _claim: Claim) -> None:
    """Do one side effect.

    Raises:
        Poison, Later, Unavailable: see `callback.send` and `_ask`; also Later if the request to expire has time left.
    """
    try:
        seen = wiring.store().take(task.request_id, task.effect)
    except ApprovalNotFound:
        # The request was purged hours after being settled, so the side effect is too late to matter.
        return
    kind, _, step = task.effect.partition("-")
    if kind == SideEffect.CALLBACK:
        callback.send(seen)
    elif seen.settled:
        # The read above may have recorded the timeout; then the worker must dispatch the new entries.
        if seen.approval.status is Status.TIMEOUT:
            outbox.dispatch(seen)
    elif kind == SideEffect.EXPIRE:
        raise Later("The request has time left.", seen.remaining_ms / 1000)
    elif kind == SideEffect.NOTIFY:
        _ask(seen, seen.asked)
    else:
        _escalate(seen, int(step))


def _escalate(seen: Seen, step: int) -> None:
    """Let the person of escalation *step* answer, and ask the person."""
    person = seen.escalation(step)
    if admitted := wiring.store().admit(seen.approval.request_id, person):
        _ask(admitted, [person])


def _answers(approval: Approval) -> list[JsonValue]:
    """Return the answers so far: for whom, by whom, and the action."""
    return [{"username": given.username, "by": given.by, "action": given.action} for given in approval.answers]


def _ask(seen: Seen, people: list[Account]) -> None:
    """Push the question to the devices of *people*, with the answers so far; the push expires with the request.

    Raises:
        Later: some devices could not be notified yet. A repeat leaves out notified devices.
    """
    approval = seen.approval
    message = devices.Notification(
        title=approval.title or _NO_TITLE,
        body=approval.body,
        data={"event": "approval.requested", "requestId": approval.request_id, "actions": ",".join(approval.actions)},
        parts={"data": approval.data, "answers": _answers(approval)},
        ttl_ms=max(seen.remaining_ms, 0),
        collapse_key=approval.request_id,
    )
    outcomes = [devices.push(person, message) for person in people]
    pauses = [outcome.again_after_seconds for outcome in outcomes if outcome.again_after_seconds is not None]
    if pauses:
        raise Later("Some devices could not be notified yet.", max(pauses))
