"""Makes the store of application lists, once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.records import wiring as records
from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once

if TYPE_CHECKING:
    from chalicelib.applications.store import ApplicationStore


@once
def store() -> ApplicationStore:
    """Return the store of application lists."""
    from chalicelib.applications.store import ApplicationStore
    from chalicelib.core.records.count_cache import CountCache

    kept_ms = settings.load(settings.RecordSettings).totals_kept_ms
    return ApplicationStore(records.view().of("application"), CountCache(kept_ms))
