"""Gauges: figures that CloudWatch watches, measured every minute."""

from chalicelib.core.queueing import queues, wiring
from chalicelib.core.runtime import logs

#: The metric that the alarm of dead letters watches; `resources.yaml` names it too.
DEAD_LETTERS = "deadLetters"


def measure() -> int:
    """Add the number of dead letters of all queues to the log record, as a metric, and return the number."""
    letters = wiring.dead_letters()
    found = sum(letters.count(queue.name) for queue in queues.every())
    logs.line().count(DEAD_LETTERS, found)
    return found
