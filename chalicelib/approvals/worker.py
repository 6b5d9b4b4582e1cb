"""Works off the queues of approvals (escalate and expire, notify, call back), and runs the sweep."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from chalicelib import devices, webhooks
from chalicelib.approvals import callback, events, outbox, wiring
from chalicelib.approvals.deliveries import Step
from chalicelib.approvals.errors import ApprovalNotFound
from chalicelib.approvals.models import Approval, Seen, SideEffect, Status, notification
from chalicelib.approvals.queues import APPROVAL, PUSH, Task
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.queueing.attempts import Later, Poison
from chalicelib.core.queueing.consumer import run_batch
from chalicelib.core.queueing.queues import Load
from chalicelib.core.runtime import clock, logs
from chalicelib.core.runtime.accounts import Account

if TYPE_CHECKING:
    from chalicelib.core.queueing.lanes import Item

#: The outcomes that are events for webhooks.
_TOLD = frozenset({Status.RESOLVED, Status.TIMEOUT})
#: The title of a notification if the question has no title.
_NO_TITLE = "Your answer is needed"
#: A withdrawal reaches a device that was out of reach until so long after the question's time.
_WITHDRAWN_MS = 3_600_000
#: The reason of a dead letter whose request was removed.
_GONE = "The request is no longer kept."


def work(event: Any) -> dict[str, Any]:
    """Do each escalation and each timeout of *event* once."""
    return run_batch(event, APPROVAL, Task, _handle, outbox.end)


def notify(event: Any) -> dict[str, Any]:
    """Do each push of *event* once. Repeats are harmless: devices recognise the request's id."""
    return run_batch(event, PUSH, Task, _handle, outbox.end)


def call_back(event: Any) -> dict[str, Any]:
    """Send the due callbacks of the lanes of *event*. Repeats are harmless: receivers recognise the message's id."""
    from chalicelib.core.queueing import drain  # noqa: PLC0415 # only this worker needs lanes

    return drain.run(event, wiring.drain(), _call_back)


def load() -> Load:
    """Return how many callbacks wait, and how many are being sent."""
    return wiring.lanes().load()


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
        Poison: the request is no longer kept.
        Later, Unavailable: see `_ask`; also Later if the moment of an escalation or a timeout has not come.
    """
    try:
        seen = wiring.store().take(task.request_id, task.effect)
    except ApprovalNotFound as error:
        raise Poison(_GONE) from error
    kind, _, step = task.effect.partition("-")
    if kind == SideEffect.CALLBACK:
        # A message of a version that had no lanes.
        callback.send(seen)
    elif kind == SideEffect.TELL:
        _announce(seen)
    elif kind == SideEffect.WITHDRAW:
        _withdraw(seen)
    elif seen.settled:
        # The read above may have recorded the timeout; then the worker must dispatch the new entries.
        if seen.approval.status is Status.TIMEOUT:
            outbox.dispatch(seen)
    elif kind == SideEffect.EXPIRE:
        raise Later("The request has time left.", seen.remaining_ms / 1000, counted=False)
    elif kind == SideEffect.NOTIFY:
        _ask(seen, [seen.escalation(int(step))] if step else seen.asked, task.effect)
    elif early_ms := seen.due_in_ms(task.effect):
        raise Later("The escalation is not due yet.", early_ms / 1000, counted=False)
    else:
        _escalate(seen, int(step))


def _call_back(item: "Item", _claim: Claim) -> None:
    """Send one callback.

    Raises:
        Poison, Later, Unavailable: see `callback.send`; also Poison if the request is no longer kept.
    """
    try:
        seen = wiring.store().stored(item.document_id)
    except ApprovalNotFound as error:
        raise Poison(_GONE) from error
    callback.send(seen)


def _announce(seen: Seen) -> None:
    """Tell webhooks, connections and, by a message for the worker of pushes, devices of the outcome.

    Raises:
        Unavailable: a store or a queue cannot be reached. A repeat tells everybody again, under the same ids.
    """
    if seen.approval.status in _TOLD:
        _tell(seen)
    events.announce(seen)
    request_id = seen.approval.request_id
    if devices.notified(seen.accounts, request_id):
        queueing.sender().send(PUSH, Task(request_id=request_id, effect=SideEffect.WITHDRAW))


def _withdraw(seen: Seen) -> None:
    """Withdraw the question from the devices that show it.

    Raises:
        Later: some devices could not be told yet. A repeat leaves out those that were told.
    """
    approval = seen.approval
    data = {"event": "approval.answered-elsewhere", "requestId": approval.request_id, "status": approval.status.value}
    ttl_ms = max(seen.remaining_ms, 0) + _WITHDRAWN_MS
    message = devices.Withdrawal(approval.request_id, data | {"action": approval.action or ""}, ttl_ms)
    outcomes = [devices.withdraw(person, message) for person in seen.asked]
    pauses = [outcome.again_after_seconds for outcome in outcomes if outcome.again_after_seconds is not None]
    if pauses:
        raise Later("Some devices could not be told yet.", max(pauses))


def _tell(seen: Seen) -> None:
    """Send the event of the outcome, which webhooks may follow."""
    approval = seen.approval
    news = webhooks.News(
        kind="approval",
        id=approval.request_id,
        # A request is settled once.
        record_version=1,
        operation="updated",
        name=approval.status.value,
        text=approval.model_dump_json(),
        at=clock.stamp(approval.resolved_at),
        hops=seen.hops,
    )
    webhooks.tell(news)


def _escalate(seen: Seen, step: int) -> None:
    """Let the person of escalation *step* answer; the same update asks for the push, and this dispatches it."""
    if admitted := wiring.store().admit(seen.approval.request_id, seen.escalation(step), step):
        outbox.dispatch_effect(admitted, notification(step))


def _answers(approval: Approval) -> list[JsonValue]:
    """Return the answers so far: for whom, by whom, and the action."""
    return [{"username": given.username, "by": given.by, "action": given.action} for given in approval.answers]


def _ask(seen: Seen, people: list[Account], effect: str) -> None:
    """Push the question to connections and devices of *people*, with the answers so far.

    A push to a device expires with the request. A repeat sends the question to the connections once more.

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
    # Connections first: a call of Firebase may take long.
    for person in people:
        if events.ask(approval, person):
            wiring.reach().note(approval.request_id, person, [None], Step.PUSHED)
    outcomes = [_push(approval.request_id, person, message) for person in people]
    pauses = [outcome.again_after_seconds for outcome in outcomes if outcome.again_after_seconds is not None]
    if pauses:
        wiring.outbox().postpone(approval.request_id, effect, max(pauses))
        raise Later("Some devices could not be notified yet.", max(pauses))


def _push(request_id: str, person: Account, message: devices.Notification) -> devices.Delivered:
    """Push to the devices of *person*, and note in the request which of them took the push."""
    delivered = devices.push(person, message)
    if delivered.device_ids:
        wiring.reach().note(request_id, person, delivered.device_ids, Step.PUSHED)
    return delivered
