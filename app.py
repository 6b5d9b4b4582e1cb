"""Every door of Holdfast: routes, queues, streams, schedules and sockets are registered here, and nothing else is."""

from typing import Any

from chalice.app import Rate

from chalicelib import sessions, slices
from chalicelib.approvals import worker as approvals
from chalicelib.approvals.queues import APPROVAL
from chalicelib.core.records import worker as records
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.web import idempotency
from chalicelib.core.web.application import App

app = App("holdfast", identify=sessions.identify, redeem=sessions.redeem, replay=idempotency.answer)

app.mount(*slices.ROUTES)


@app.on_sqs_message(queue=APPROVAL.name)
def approval(event: Any) -> dict[str, Any]:
    """Tell people they are asked, ask more of them, call back with the outcome."""
    return approvals.work(event)


@app.on_dynamodb_record(stream_arn="records", batch_size=100, starting_position="TRIM_HORIZON")
def project(event: Any) -> None:
    """Carry what was committed to all that follow it: the view, the events, the history."""
    records.project(event)


@app.on_sqs_message(queue=REPAIR.name)
def repair(event: Any) -> dict[str, Any]:
    """Carry once more what could not be carried."""
    return records.repair(event)


@app.schedule(Rate(1, unit=Rate.HOURS))
def reconcile(event: Any) -> None:
    """Every hour: compare the truth with what follows it, and mend what is missing."""
    records.reconcile(event)


@app.schedule(Rate(1, unit=Rate.MINUTES))
def sweep(event: Any) -> None:
    """Every minute: finish what a process that died left half-done."""
    slices.sweep(event)
