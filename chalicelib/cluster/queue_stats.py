"""How much work there is, and was: what SQS says of each queue, and the exact counts."""

from chalicelib.cluster.models import QueueFigures, QueueStats
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.queueing import queues
from chalicelib.core.queueing import wiring as queueing


def collect() -> QueueStats:
    """Return the figures of every queue and their sums. SQS is asked twice for each, DynamoDB once for all."""
    counted = coordination.counts().read([queue.name for queue in queues.every()], ("completed", "failed"))
    figures = {queue.name: _figures(queue, counted[queue.name]) for queue in queues.every()}
    each = figures.values()
    return QueueStats(
        pending=sum(one.pending for one in each),
        processing=sum(one.processing for one in each),
        completed=sum(one.completed for one in each),
        failed=sum(one.failed for one in each),
        queues=figures,
    )


def _figures(queue: queues.Queue, counted: dict[str, int]) -> QueueFigures:
    depth = queueing.sender().depth(queue)
    return QueueFigures(pending=depth.pending, processing=depth.processing, dead=depth.dead, **counted)
