"""The functions behind the system of record: table stream, ``repair`` queue, hourly reconciliation."""

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
from chalicelib.core.stores.binding import DatabaseRefused

#: Longer than one reconciliation may take.
_LOCK_MS = 300_000


def project(event: Any) -> None:
    """Project a batch of the stream. Running twice is harmless: every step is recognised by id and version.

    Raises:
        Unavailable: a store is down. The stream keeps the batch, in order, until the store is back.
    """
    with deadline.bind(event.context), logs.invocation("stream") as line:
        records = event.to_dict()["Records"]
        line.count("recordsRead", len(records))
        line.count("recordsPoisoned", wiring.projector().project(records))


def repair(event: Any) -> dict[str, Any]:
    """Project failed states again. Still-failing messages are retried, then dead-lettered with a reason."""
    return run_batch(event, REPAIR, Repair, _repair)


def reconcile(event: Any) -> None:
    """Continue the reconciliation where the last call ended. A second call at the same time does nothing.

    A database without this deployment's mark is left as it is, and logged as the error ``database_refused``.
    """
    with deadline.bind(event.context), logs.invocation("reconcile") as line:
        line.add(requestId=event.event_id)
        try:
            with coordination.locks().lock("reconcile", _LOCK_MS):
                found = comparison.step()
        except LockHeld:
            line.count("reconcilesSkipped")
            return
        except DatabaseRefused as refused:
            line.count("reconcilesRefused")
            logs.failed("database_refused", refused)
            return
        line.add(finished=found.finished)
        line.count("recordsCompared", found.compared)
        line.count("recordsRepaired", found.repaired)


def _repair(task: Repair, _claim: Claim) -> None:
    """Project the current state of the record, and publish the version of *task* as lost if no event was sent.

    Raises:
        Exception: the record still cannot be projected.
    """
    comparison.repair(task.kind, task.id, task.record_version)
