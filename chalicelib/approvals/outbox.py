"""What follows a change of a request: dispatched by whoever made it, and ended by the worker."""

from chalicelib.approvals import wiring
from chalicelib.approvals.models import Seen
from chalicelib.approvals.queues import Task


def dispatch(seen: Seen) -> Seen:
    """Send what must follow the change that made *seen*, and return *seen*. Never fails that change."""
    wiring.outbox().dispatch(seen.approval.request_id, seen.entries)
    return seen


def end(task: Task) -> None:
    """End the entry of a message that was settled. Safe to repeat."""
    wiring.outbox().end(task.request_id, task.effect)
