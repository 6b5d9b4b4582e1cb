"""Pays out an approved application exactly once, however many calls ask.

One transaction writes the application's new state, the ledger's entry and the ledger's head, and checks the lock's
fencing token. The transaction alone guarantees a single payment. The lock only serialises calls for the same
application, so calls wait for their turn and do not fail one after the other.
"""

from time import monotonic, sleep

from chalicelib import ledger
from chalicelib.applications.errors import Disbursing
from chalicelib.applications.models import Status
from chalicelib.applications.refusals import payment_refused
from chalicelib.applications.search import KIND
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.errors import GuardedRefused, LockHeld, LockLost
from chalicelib.core.coordination.locks import Lease
from chalicelib.core.records import wiring as records
from chalicelib.core.records.errors import NotInThisState
from chalicelib.core.records.models import Record
from chalicelib.core.runtime import deadline
from chalicelib.core.runtime.backoff import Backoff

#: Longer than a payment takes. After a process died while paying, the next call waits until the lock expires.
_LOCK_MS = 5_000
#: Longest wait for the lock and for a turn at the ledger's head, shared by all payments.
_WAIT_MS = 15_000
#: Part of the function's time reserved for answering.
_MARGIN_MS = 3_000
#: A turn at the ledger's head is short, so pauses need not grow; jitter keeps concurrent payments out of step.
_BACKOFF = Backoff(first_seconds=0.1, longest_seconds=0.1)


def disburse(application_id: str, *, by: str, operation: str) -> Record:
    """Pay out an approved application and return the new state. Safe to repeat.

    An application that is paid out already is returned unchanged.

    Raises:
        RecordNotFound: there is no such application.
        NotInThisState: the application is neither approved nor paid out.
        Disbursing: other payments held the lock or the ledger's head until time was up; this call paid nothing.
    """
    record = _payable(application_id)
    until = monotonic() + deadline.clamp_ms(_WAIT_MS, margin_ms=_MARGIN_MS) / 1000
    # Calls for an application that is already paid out need no lock.
    while record.doc["status"] != Status.DISBURSED:
        left_ms = round((until - monotonic()) * 1000)
        if left_ms <= 0:
            raise Disbursing
        try:
            with coordination.locks().lock(f"application#{application_id}", _LOCK_MS, wait_ms=left_ms) as lease:
                return _pay(lease, application_id, by, operation, until)
        except (LockHeld, LockLost):
            # Another call held the lock too long, or an administrator broke our lock, or our lock expired.
            # The other holder may have paid.
            record = _payable(application_id)
    return record


def _pay(lease: Lease, application_id: str, by: str, operation: str, until: float) -> Record:
    """Move money and status in one transaction. Retries when another payment advanced the ledger's head.

    Raises:
        LockLost: the lease ended; nothing was paid under this lease.
        Disbursing: every attempt until *until* was refused; nothing was paid.
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
    """Return the application if its status is approved or disbursed.

    Raises:
        RecordNotFound: there is no such application.
        NotInThisState: the application has another status.
    """
    record = records.store().get(KIND.name, application_id)
    if record.doc["status"] not in {Status.APPROVED, Status.DISBURSED}:
        raise NotInThisState(record, payment_refused(record.doc))
    return record
