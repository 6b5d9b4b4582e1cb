"""Works at the jobs that replay many deliveries, and wakes the lanes of these deliveries."""

from collections.abc import Callable

from chalicelib.core.records.models import Record
from chalicelib.webhooks import wiring


def go_on(job_id: str, time_left: Callable[[], bool]) -> bool:
    """Do the steps of a job while there is time; return whether the job is done. Safe to repeat.

    Raises:
        Unavailable: a store is down. The sweep goes on with the job.
    """
    jobs = wiring.jobs()
    while jobs.is_open(job_id):
        if not time_left():
            return False
        webhooks = enabled()
        for webhook_id in jobs.step(job_id, webhooks):
            if not webhooks[webhook_id].doc["paused"]:
                wiring.server().wake_all(webhooks[webhook_id])
    return True


def enabled() -> dict[str, Record]:
    """Return the webhooks to which deliveries are sent, by id."""
    return {webhook.id: webhook for webhook in wiring.store().every() if webhook.doc["enabled"]}
