"""The ``repair`` queue, for states of records that the projector could not project.

Repairs are idempotent, but most of them fail at first: a failed message of a batch costs more than a single message.
"""

from chalicelib.core.queueing.queues import Queue

REPAIR = Queue("repair", visibility_seconds=60, attempts=12, batch_size=10, concurrency=2, timeout_seconds=50)
