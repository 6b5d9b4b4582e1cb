"""Errors of the cluster's routes. Callers read the docstring of each class as the detail."""

from chalicelib.core.errors import NotFound


class QueueNotFound(NotFound):
    """There is no queue of this name; GET /api/admin/queue-stats names the queues."""

    code = "queue-not-found"
