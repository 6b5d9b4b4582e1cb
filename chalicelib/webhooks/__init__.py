"""Webhooks: every committed change reaches every webhook that wants it, signed, in any number of attempts.

models.py     webhooks and their shapes over HTTP, and which events a webhook wants (no I/O)
errors.py     errors shown to callers
secrets.py    derives the secrets
happenings.py events with their public data, and the bodies of deliveries (no I/O)
store.py      webhooks: records
recorder.py   numbers and inserts the deliveries of a batch of events, in one transaction
deliveries.py deliveries in MongoDB; one atomic update decides each step
health.py     since when a webhook fails, which lanes have work, whether a delivery was forgotten
statement.py  reads statements: what was made for a webhook, by sequence, from an index
statistics.py counts calls and their latencies, by webhook and day
archive.py    reads deliveries for people, and sends some again
jobs.py       replays many deliveries: jobs that go on after their process died
sending.py    works at jobs, and wakes the lanes of their deliveries
shown.py      shapes of deliveries, and queries for them (no I/O)
attempts.py   what a call's end means for its delivery (no I/O)
admit.py      admits a receiver by its signature
accept.py     matches events with webhooks, and makes deliveries
send.py       one call of a receiver
serve.py      serves lanes: slots, rates, calls
api.py        HTTP routes of webhooks
history.py    HTTP routes of deliveries
queues.py     the queues of events and of lanes
settings.py   options
wiring.py     makes stores and workers, once per process
slice.py      the declaration of the slice
worker.py     works off the queues, and runs the sweep

Other slices tell what happened to documents that are no records by `tell`. For records nobody need call: the stream of
their table brings the events.
"""

from chalicelib.core.queueing import wiring as queueing
from chalicelib.webhooks.queues import EVENT, News

__all__ = ["News", "tell"]


def tell(news: News) -> None:
    """Send the event of a document to the webhooks that want it. Safe to repeat: an event makes one delivery each.

    Raises:
        Unavailable: SQS cannot be reached.
    """
    queueing.sender().send(EVENT, news)
