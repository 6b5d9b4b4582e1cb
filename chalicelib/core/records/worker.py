"""What follows the truth: the table's stream, the ``repair`` queue, and the hourly comparison."""

from typing import Any

from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.coordination.errors import LockHeld
from chalicelib.core.queueing.consumer import run_batch
from chalicelib.core.records import reconcile as comparison
from chalicelib.core.records import wiring
from chalicelib.core.records.project import Repair
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.runtime import deadline, logs

#: Longer than one comparison may take.
_LOCK_MS = 300_000


def project(event: Any) -> None:
    """Carry a batch of the stream. Running twice is harmless: every step knows what it has done by id and version.

    Raises:
        Unavailable: a store is down. The stream keeps the batch, and its order, until it is back.
    """
    with deadline.of(event.context), logs.invocation("stream") as line:
        records = event.to_dict()["Records"]
        line.count("recordsRead", len(records))
        line.count("recordsPoisoned", wiring.projector().project(records))


def repair(event: Any) -> dict[str, Any]:
    """Carry once more what could not be carried. What still cannot is tried again, and buried with why in the end."""
    return run_batch(event, REPAIR, Repair, _mend)


def reconcile(event: Any) -> None:
    """Compare truth, history and view for a while, where the last time ended. Two at once would do the same twice."""
    with deadline.of(event.context), logs.invocation("reconcile") as line:
        line.add(requestId=event.event_id)
        try:
            with coordination.locks().lock("reconcile", _LOCK_MS):
                found = comparison.step()
        except LockHeld:
            line.count("reconcilesSkipped")
            return
        line.add(finished=found.finished)
        line.count("recordsCompared", found.compared)
        line.count("recordsMended", found.mended)


def _mend(task: Repair, _claim: Claim) -> None:
    """Carry the record as it is now, and what is still missing of this version.

    Raises:
        Exception: why it still cannot be carried.
    """
    comparison.mend(task.kind, task.id, task.record_version)
