"""Makes the store of progress, the leases and the waiter, each once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients
from chalicelib.progress.settings import ProgressSettings

if TYPE_CHECKING:
    from chalicelib.progress.leases import Leases
    from chalicelib.progress.store import ProgressStore
    from chalicelib.progress.wait import Waiter


@once
def store() -> ProgressStore:
    """Return the progress of every job."""
    from chalicelib.progress.store import ProgressStore

    return ProgressStore(clients.mongodb().progress)


@once
def leases() -> Leases:
    """Return the leases of pushers."""
    from chalicelib.progress.leases import Leases

    return Leases(clients.mongodb().progress)


def options() -> ProgressSettings:
    """Return the options of progress."""
    return settings.load(ProgressSettings)


@once
def waiter() -> Waiter[Any]:
    """Return the waiter of the process."""
    from chalicelib.progress.wait import Waiter

    return Waiter(options())
