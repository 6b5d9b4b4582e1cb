"""Every door of Holdfast: routes, queues, streams, schedules and sockets are registered here, and nothing else is."""

from typing import Any

from chalice.app import Rate

from chalicelib import sessions, sweeps
from chalicelib.applications.api import routes as applications_routes
from chalicelib.approvals import worker as approvals
from chalicelib.approvals.api import routes as approvals_routes
from chalicelib.cluster.api import routes as cluster_routes
from chalicelib.core.queueing import queues
from chalicelib.core.records import worker as records
from chalicelib.core.web import idempotency
from chalicelib.core.web.application import App
from chalicelib.devices.api import routes as device_routes
from chalicelib.ledger.api import routes as ledger_routes
from chalicelib.sessions.api import routes as session_routes
from chalicelib.users.api import routes as user_routes

app = App("holdfast", identify=sessions.identify, redeem=sessions.redeem, replay=idempotency.answer)

app.mount(cluster_routes, user_routes, session_routes, approvals_routes, device_routes)
app.mount(applications_routes, ledger_routes)


@app.on_sqs_message(queue=queues.APPROVAL.name)
def approval(event: Any) -> dict[str, Any]:
    """Tell people they are asked, ask more of them, call back with the outcome."""
    return approvals.work(event)


@app.on_dynamodb_record(stream_arn="records", batch_size=100, starting_position="TRIM_HORIZON")
def project(event: Any) -> None:
    """Carry what was committed to all that follow it: the view, the events, the history."""
    records.project(event)


@app.on_sqs_message(queue=queues.REPAIR.name)
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
    sweeps.run(event)
