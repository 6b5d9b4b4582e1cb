"""The queue of approvals."""

from chalicelib.core.queueing.queues import Queue

APPROVAL = Queue("approval", visibility_seconds=60, attempts=12, batch_size=10, concurrency=4, timeout_seconds=50)
