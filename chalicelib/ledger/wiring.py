"""Makes the store of the ledger, once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients

if TYPE_CHECKING:
    from chalicelib.ledger.store import LedgerStore


@once
def store() -> LedgerStore:
    """Return the store of the ledger."""
    from chalicelib.ledger.store import LedgerStore

    return LedgerStore(clients.table("ledger"))
