"""Collects queue metrics: approximate depths from SQS, work that waits in lanes, and exact counts from DynamoDB."""

from chalicelib.cluster.models import QueueFigures, QueueStats
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.queueing import queues
from chalicelib.core.queueing import wiring as queueing


def collect() -> QueueStats:
    """Return the metrics of every queue and the sums.

    Three round trips for each queue, and one more for the counts of all.
    """
    counts = coordination.counts().read([queue.name for queue in queues.every()], ("completed", "failed"))
    metrics = {queue.name: _metrics_of(queue, counts[queue.name]) for queue in queues.every()}
    each = metrics.values()
    return QueueStats(
        pending=sum(queue.pending for queue in each),
        processing=sum(queue.processing for queue in each),
        completed=sum(queue.completed for queue in each),
        failed=sum(queue.failed for queue in each),
        queues=metrics,
    )


def _metrics_of(queue: queues.Queue, counts: dict[str, int]) -> QueueFigures:
    depth = queueing.sender().depth(queue)
    load = queues.load(queue.name) or queues.Load(depth.pending, depth.processing)
    # Letters in SQS are on their way to the store.
    dead = depth.dead + queueing.dead_letters().count(queue.name)
    return QueueFigures(pending=load.pending, processing=load.processing, dead=dead, **counts)
