"""How many a list has, remembered as long as counting them is worth.

Counting takes time in proportion to what is counted, so a count is kept in proportion too: however many ask, and
however long the list, a process has its store count that list for the same small share of the time.
"""

from collections.abc import Callable, Hashable
from time import monotonic

#: So many that are counted stay known for as long as the setting says.
_UNIT = 10_000
#: More lists than anybody looks at within a second.
_MOST = 1_000


class CountCache:
    """Counts by the list they are of. Safe for threads; what two count at once is counted twice."""

    def __init__(self, kept_ms: int, ticks: Callable[[], float] = monotonic) -> None:
        """Make an empty one: a count of 10,000 is kept for *kept_ms*, a smaller one for its part of that."""
        self._seconds_each, self._ticks = kept_ms / 1000 / _UNIT, ticks
        self._kept: dict[Hashable, tuple[int, float]] = {}

    def known(self, what: Hashable) -> int | None:
        """Return the count of *what*, or None if it is to be counted."""
        total, until = self._kept.get(what, (None, 0.0))
        return total if self._ticks() < until else None

    def keep(self, what: Hashable, total: int) -> int:
        """Remember and return the *total* that was counted just now."""
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[what] = total, self._ticks() + total * self._seconds_each
        return total
