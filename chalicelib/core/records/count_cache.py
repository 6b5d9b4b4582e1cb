"""A cache of the lengths of lists. Counting takes time in proportion to the count; so a count is kept in proportion.

Hence a process spends the same small share of time on counting a list, for any length and any number of callers.
"""

from collections.abc import Callable, Hashable
from time import monotonic

#: A count of this size is kept for the time that the setting names.
_UNIT = 10_000
#: The maximum number of cached counts: more lists than callers request within a second.
_MOST = 1_000


class CountCache:
    """Counts by list. Safe for threads; two threads that miss at once both count."""

    def __init__(self, kept_ms: int, ticks: Callable[[], float] = monotonic) -> None:
        """Make an empty cache: a count of 10,000 is kept for *kept_ms*, a smaller count for a proportional time."""
        self._seconds_each, self._ticks = kept_ms / 1000 / _UNIT, ticks
        self._kept: dict[Hashable, tuple[int, float]] = {}

    def known(self, query: Hashable) -> int | None:
        """Return the count of the list *query*, or None if the caller must count."""
        total, until = self._kept.get(query, (None, 0.0))
        return total if self._ticks() < until else None

    def keep(self, query: Hashable, total: int) -> int:
        """Store and return the *total* of the list *query*."""
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[query] = total, self._ticks() + total * self._seconds_each
        return total
