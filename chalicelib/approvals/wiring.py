"""Makes the store, outbox and waiter of approvals, each once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients

if TYPE_CHECKING:
    from chalicelib.approvals.store import ApprovalStore
    from chalicelib.approvals.wait import Waiter
    from chalicelib.core.queueing.outbox import Outbox


@once
def store() -> ApprovalStore:
    """Return the store of approvals."""
    from chalicelib.approvals.store import ApprovalStore

    return ApprovalStore(clients.mongodb().approvals, settings.load(ApprovalSettings))


@once
def outbox() -> Outbox:
    """Return the outbox of approvals."""
    from chalicelib.approvals.queues import address
    from chalicelib.core.queueing.outbox import Outbox

    return Outbox(clients.mongodb().approvals, address, queueing.sender)


@once
def waiter() -> Waiter:
    """Return the waiter of the process: polling, as a function holds one caller."""
    from chalicelib.approvals.wait import Polling

    return Polling(store(), settings.load(ApprovalSettings))
