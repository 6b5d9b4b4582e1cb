"""Works off the queue of pushers, and runs the sweep."""

from typing import Any

from chalicelib.core.queueing.consumer import run_batch
from chalicelib.progress import push
from chalicelib.progress.queues import PROGRESS, Wake


def work(event: Any) -> dict[str, Any]:
    """Push the newest snapshots of each job of *event*. Repeats are harmless: a pusher without its lease stops."""
    return run_batch(event, PROGRESS, Wake, push.work)


def sweep() -> int:
    """Wake pushers of changes that no process announced. Return how many. Safe to repeat."""
    return push.sweep()
