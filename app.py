"""Registers every entry point of Holdfast (routes, queues, streams, schedules and sockets), and nothing else."""

from typing import Any

from chalice.app import Rate

from chalicelib import sessions, slices, sockets
from chalicelib.activation import worker as activations
from chalicelib.activation.queues import ACTIVATION, MAIL
from chalicelib.approvals import worker as approvals
from chalicelib.approvals.queues import APPROVAL, CALLBACK, PUSH
from chalicelib.core.queueing import keeper
from chalicelib.core.records import worker as records
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.web import idempotency
from chalicelib.core.web.application import App
from chalicelib.messages import worker as messages
from chalicelib.messages.queues import NOTICE, POST
from chalicelib.progress import worker as pushers
from chalicelib.progress.queues import PROGRESS
from chalicelib.webhooks import worker as webhooks
from chalicelib.webhooks.queues import EVENT, URGENT, WEBHOOK

app = App("holdfast", identify=sessions.identify, redeem=sessions.redeem, replay=idempotency.answer)

app.mount(*slices.ROUTES)


@app.on_sqs_message(queue=APPROVAL.name)
def approval(event: Any) -> dict[str, Any]:
    """Escalate to further approvers, and record timeouts that a callback follows."""
    return approvals.work(event)


@app.on_sqs_message(queue=PUSH.name)
def push(event: Any) -> dict[str, Any]:
    """Push questions to the devices of approvers."""
    return approvals.notify(event)


@app.on_sqs_message(queue=CALLBACK.name)
def callback(event: Any) -> dict[str, Any]:
    """Call back with the outcomes of requests, by lane."""
    return approvals.call_back(event)


@app.on_sqs_message(queue=EVENT.name)
def event(event: Any) -> dict[str, Any]:
    """Match events with webhooks, and make the deliveries."""
    return webhooks.accept(event)


@app.on_sqs_message(queue=WEBHOOK.name)
def webhook(event: Any) -> dict[str, Any]:
    """Send the deliveries of webhooks, by lane."""
    return webhooks.send(event)


@app.on_sqs_message(queue=URGENT.name)
def urgent(event: Any) -> dict[str, Any]:
    """Send the deliveries of webhooks with high priority, by lane."""
    return webhooks.send_urgent(event)


@app.on_sqs_message(queue=POST.name)
def post(event: Any) -> dict[str, Any]:
    """Store messages that were sent while MongoDB was down."""
    return messages.post(event)


@app.on_sqs_message(queue=NOTICE.name)
def notice(event: Any) -> dict[str, Any]:
    """Notify receivers of messages who have no connection."""
    return messages.notice(event)


@app.on_sqs_message(queue=ACTIVATION.name)
def activation(event: Any) -> dict[str, Any]:
    """Make the users of leads."""
    return activations.activate(event)


@app.on_sqs_message(queue=MAIL.name)
def mail(event: Any) -> dict[str, Any]:
    """Send the mails of leads."""
    return activations.send_mails(event)


@app.on_cw_event({"source": ["aws.ses"], "detail": {"eventType": ["Bounce", "Complaint"]}})
def returned(event: Any) -> None:
    """Learn which mails came back."""
    activations.returned(event)


@app.on_sqs_message(queue=PROGRESS.name)
def progress(event: Any) -> dict[str, Any]:
    """Push snapshots of jobs to connections of WebSockets."""
    return pushers.work(event)


@app.on_dynamodb_record(stream_arn="records", batch_size=100, starting_position="TRIM_HORIZON")
def project(event: Any) -> None:
    """Project committed records: apply the read model, publish events, write history."""
    records.project(event)


@app.on_sqs_message(queue=REPAIR.name)
def repair(event: Any) -> dict[str, Any]:
    """Project records again whose projection failed."""
    return records.repair(event)


@app.on_sqs_message(queue=keeper.NAME)
def deadletters(event: Any) -> dict[str, Any]:
    """Store the dead letters of every queue."""
    return keeper.store(event)


@app.lambda_function()
def events(event: Any, context: Any) -> dict[str, Any]:
    """Serve the routes that are streams of events, so that held streams take no place from other calls."""
    return app(event, context)


@app.on_ws_connect()
def connect(event: Any) -> dict[str, Any]:
    """Admit a WebSocket connection."""
    return sockets.serve(event.to_dict(), event.context)


@app.on_ws_message()
def message(event: Any) -> dict[str, Any]:
    """Handle a frame of a WebSocket connection."""
    return sockets.serve(event.to_dict(), event.context)


@app.on_ws_disconnect()
def disconnect(event: Any) -> dict[str, Any]:
    """Forget a WebSocket connection."""
    return sockets.serve(event.to_dict(), event.context)


@app.schedule(Rate(1, unit=Rate.HOURS))
def reconcile(event: Any) -> None:
    """Every hour: compare the system of record with its projections, and repair missing states."""
    records.reconcile(event)


@app.schedule(Rate(1, unit=Rate.MINUTES))
def sweep(event: Any) -> None:
    """Every minute: finish work left half-done by processes that died."""
    slices.sweep(event)
