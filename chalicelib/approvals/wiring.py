"""Makes the store, outbox, lanes and waiter of approvals, each once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients

if TYPE_CHECKING:
    from chalicelib.approvals.reach import Reach
    from chalicelib.approvals.store import ApprovalStore
    from chalicelib.approvals.wait import Waiter
    from chalicelib.core.queueing.drain import Drain
    from chalicelib.core.queueing.lanes import Lanes
    from chalicelib.core.queueing.outbox import Outbox


@once
def store() -> ApprovalStore:
    """Return the store of approvals."""
    from chalicelib.approvals.store import ApprovalStore

    return ApprovalStore(clients.mongodb().approvals, settings.load(ApprovalSettings))


@once
def reach() -> Reach:
    """Return the store of deliveries."""
    from chalicelib.approvals.reach import Reach

    return Reach(clients.mongodb().approvals)


@once
def outbox() -> Outbox:
    """Return the outbox of approvals."""
    from chalicelib.approvals.queues import CALLBACK, address
    from chalicelib.core.queueing.outbox import Outbox

    return Outbox(clients.mongodb().approvals, address, queueing.sender, lanes=CALLBACK)


@once
def lanes() -> Lanes:
    """Return the lanes of callbacks."""
    from chalicelib.core.queueing.lanes import Lanes

    return Lanes(clients.mongodb().approvals)


@once
def drain() -> Drain:
    """Return what the worker of callbacks needs."""
    from chalicelib.approvals.queues import CALLBACK
    from chalicelib.core.queueing.drain import Drain
    from chalicelib.core.queueing.lanes import share
    from chalicelib.core.queueing.slots import Limits, Slots

    part = share(CALLBACK.concurrency)
    slots = Slots(clients.mongodb().lanes, Limits(per_owner=part, per_lane=part))
    return Drain(CALLBACK, lanes(), slots, call_ms=settings.load(settings.EgressSettings).total_timeout_ms)


@once
def waiter() -> Waiter:
    """Return the waiter of the process: polling, as a function holds one caller."""
    from chalicelib.approvals.wait import Polling

    return Polling(store(), settings.load(ApprovalSettings))
