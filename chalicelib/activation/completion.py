"""Tells webhooks of completed activations. Loaded by the workers alone.

The transaction that completes an activation writes an outbox entry with the last snapshot. Each worker tells at the end
of its turn; for the entry of a dead process, the sweep wakes a worker.
"""

from chalicelib import webhooks
from chalicelib.activation import wiring
from chalicelib.activation.store import TELL, Untold
from chalicelib.core.runtime import clock


def tell() -> int:
    """Send the event of each completed activation whose event waits; return how many.

    Safe to repeat, and beside other calls: an event has the same id each time.

    Raises:
        Unavailable: MongoDB or SQS cannot be reached; the entries stay.
    """
    waiting = wiring.store().untold()
    for each in waiting:
        webhooks.tell(_news(each))
        wiring.outbox().end(each.session_id, TELL, dead=False)
    return len(waiting)


def _news(completed: Untold) -> webhooks.News:
    return webhooks.News(
        kind="activation",
        id=completed.session_id,
        # An id that is used again, when the leads are no longer kept, stands for another activation.
        record_version=int(completed.created_at.timestamp()),
        operation="updated",
        name="completed",
        text=completed.text,
        at=clock.stamp(completed.completed_at),
    )
