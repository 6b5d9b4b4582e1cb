"""Outbox entries of requests: dispatched after the change that wrote the entries, and ended by the worker."""

from chalicelib.approvals import wiring
from chalicelib.approvals.models import Seen
from chalicelib.approvals.queues import Task
from chalicelib.core.queueing.attempts import Outcome


def dispatch(seen: Seen) -> Seen:
    """Dispatch the outbox entries of *seen*, and return *seen*. Never raises: the sweep dispatches the rest."""
    wiring.outbox().dispatch(seen.approval.request_id, seen.entries)
    return seen


def dispatch_effect(seen: Seen, effect: str) -> None:
    """Dispatch the outbox entry of *effect* alone. Never raises: the sweep dispatches the rest."""
    wiring.outbox().dispatch(seen.approval.request_id, [entry for entry in seen.entries if entry.effect == effect])


def end(task: Task, outcome: Outcome) -> None:
    """Remove the outbox entry of a message that is done or dead-lettered. Safe to repeat."""
    wiring.outbox().end(task.request_id, task.effect, dead=outcome is Outcome.DEAD)
