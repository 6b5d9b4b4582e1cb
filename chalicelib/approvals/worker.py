"""The ``approval`` queue: telling people, asking more of them, calling back. And the sweep."""

from datetime import datetime
from typing import Any

from chalicelib import devices
from chalicelib.approvals import callback, outbox, wiring
from chalicelib.approvals.errors import ApprovalNotFound
from chalicelib.approvals.models import Seen, SideEffect, Status
from chalicelib.approvals.queues import APPROVAL, Task
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.queueing.consumer import Later, run_batch
from chalicelib.core.runtime import logs

#: What a device shows of a question without a title.
_NO_TITLE = "Your answer is needed"


def work(event: Any) -> dict[str, Any]:
    """Do each effect of *event* once. Repeats are harmless: devices and receivers know them by the request's id."""
    return run_batch(event, APPROVAL, Task, _handle, outbox.end)


def sweep() -> int:
    """Record every overdue request as timed out, and dispatch what is due soon; return the timeouts.

    Running twice is harmless: each timeout is recorded once, and each effect done once.
    """
    timed_out = wiring.store().expire_all()
    logs.line().count("approvalsTimedOut", timed_out)
    logs.line().count("effectsSwept", wiring.outbox().sweep())
    return timed_out


def next_due() -> datetime | None:
    """Return the next moment at which an effect is due, or a request times out."""
    moments = (wiring.outbox().next_due(), wiring.store().next_expiry())
    return min((moment for moment in moments if moment), default=None)


def _handle(task: Task, _claim: Claim) -> None:
    """Do one effect.

    Raises:
        Poison, Later, Unavailable: as `callback.send` and `_ask`; Later also where the request has time left to expire.
    """
    try:
        seen = wiring.store().take(task.request_id, task.effect)
    except ApprovalNotFound:
        # It was kept for a day after it was settled; nobody is left who would want to know.
        return
    kind, _, step = task.effect.partition("-")
    if kind == SideEffect.CALLBACK:
        callback.send(seen)
    elif seen.settled:
        # The timeout was recorded just now, perhaps: then its effects are this worker's to dispatch.
        if seen.approval.status is Status.TIMEOUT:
            outbox.dispatch(seen)
    elif kind == SideEffect.EXPIRE:
        raise Later("The request has time left.", seen.remaining_ms / 1000)
    elif kind == SideEffect.NOTIFY:
        _ask(seen, seen.approval.approvers)
    else:
        _escalate(seen, int(step))


def _escalate(seen: Seen, step: int) -> None:
    """Let the next person answer, and ask them."""
    username = seen.approval.escalate_to[step].username
    if admitted := wiring.store().admit(seen.approval.request_id, username):
        _ask(admitted, [username])


def _ask(seen: Seen, people: list[str]) -> None:
    """Push the question to the devices of *people*, for as long as it can be answered.

    Raises:
        Later: some devices could not be told yet. Those that were are left out the next time.
    """
    approval = seen.approval
    message = devices.Notification(
        title=approval.title or _NO_TITLE,
        body=approval.body,
        data={"event": "approval.requested", "requestId": approval.request_id, "actions": ",".join(approval.actions)},
        ttl_ms=max(seen.remaining_ms, 0),
        collapse_key=approval.request_id,
    )
    outcomes = [devices.push(username, message) for username in people]
    again = [outcome.again_after_seconds for outcome in outcomes if outcome.again_after_seconds is not None]
    if again:
        raise Later("Some devices could not be told yet.", max(again))
