"""Makes the store of progress, once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients

if TYPE_CHECKING:
    from chalicelib.progress.store import ProgressStore


@once
def store() -> ProgressStore:
    """Return the progress of every job."""
    from chalicelib.progress.store import ProgressStore

    return ProgressStore(clients.mongodb().progress)
