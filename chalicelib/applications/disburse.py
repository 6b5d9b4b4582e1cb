"""Paying out: the money of an approved application moves once, whoever asks and however often.

The application's new state, the ledger's entry and the ledger's head are one transaction, which also demands the lock's
own token. The lock keeps those apart who want the same application, so that they need not be refused one after the
other; that it is paid once rests on the transaction.
"""

from time import monotonic, sleep

from chalicelib import ledger
from chalicelib.applications.errors import Disbursing
from chalicelib.applications.models import Status
from chalicelib.applications.search import KIND
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.errors import GuardedRefused, LockHeld, LockLost
from chalicelib.core.coordination.locks import Lease
from chalicelib.core.records import wiring as records
from chalicelib.core.records.errors import NotInThisState
from chalicelib.core.records.models import Record
from chalicelib.core.runtime import deadline
from chalicelib.core.runtime.backoff import Backoff

#: Longer than paying takes. Whoever comes after a process that died in the middle waits for so long.
_LOCK_MS = 5_000
#: For the lock, and for a turn at the ledger's end, which is one for all.
_WAIT_MS = 15_000
#: What is left of a function's time when it must have answered.
_MARGIN_MS = 3_000
#: A turn at the ledger's end is short, so the ceiling stays: those who want it must only not come in step.
_BACKOFF = Backoff(first_seconds=0.1, longest_seconds=0.1)


def disburse(application_id: str, *, by: str, operation: str) -> Record:
    """Pay an application out, and return it as it is then; one that is paid out already, as it is. Safe to repeat.

    Raises:
        RecordNotFound: there is none.
        NotInThisState: it is not approved.
        Disbursing: there was no turn for this call; nothing was paid by it.
    """
    record = _payable(application_id)
    until = monotonic() + deadline.clamp_ms(_WAIT_MS, margin_ms=_MARGIN_MS) / 1000
    # Those who come when it is paid hold nobody up.
    while record.doc["status"] != Status.DISBURSED:
        left_ms = round((until - monotonic()) * 1000)
        if left_ms <= 0:
            raise Disbursing
        try:
            with coordination.locks().lock(f"application#{application_id}", _LOCK_MS, wait_ms=left_ms) as lease:
                return _pay(lease, application_id, by, operation, until)
        except (LockHeld, LockLost):
            # Held to the end, broken by an administrator, or outlived: whoever had it may have paid.
            record = _payable(application_id)
    return record


def _pay(lease: Lease, application_id: str, by: str, operation: str, until: float) -> Record:
    """Move money and status together; again and again, as the ledger's end is somebody else's first at times.

    Raises:
        LockLost: nothing was paid by this lease.
    """
    store = records.store()
    while monotonic() < until:
        record = _payable(application_id)
        if record.doc["status"] == Status.DISBURSED:
            return record
        prepared = store.prepare(record, {"status": Status.DISBURSED}, by=by, operation=operation)
        movement = ledger.Movement("disbursement", record.id, record.doc["amountMinor"], record.doc["currency"])
        try:
            coordination.locks().guarded(lease, [prepared.write, *ledger.posting(movement)])
        except GuardedRefused:
            sleep(_BACKOFF.seconds(failures=1))
            continue
        store.show([prepared.record])
        return prepared.record
    raise Disbursing


def _payable(application_id: str) -> Record:
    """Return the application, which is approved, or paid out already.

    Raises:
        RecordNotFound, NotInThisState: it is not.
    """
    record = records.store().get(KIND.name, application_id)
    if record.doc["status"] not in {Status.APPROVED, Status.DISBURSED}:
        raise NotInThisState(record, "Only an approved application can be disbursed.")
    return record
