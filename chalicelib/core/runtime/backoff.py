"""Backoff: how long to pause before the next attempt, so that callers that failed together do not retry together.

The source is "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), which compares
several methods: full jitter costs the fewest calls.
"""

import random
from dataclasses import dataclass

#: Beyond this a float overflows; every ceiling is reached long before.
_MOST_DOUBLINGS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses with full jitter, under a ceiling that begins at *first_seconds* and doubles up to *longest_seconds*."""

    first_seconds: float
    longest_seconds: float
    #: The shortest pause.
    shortest_seconds: float = 0.0

    def seconds(self, failures: int) -> float:
        """Return a random pause for *failures* failed attempts, at least one."""
        ceiling = min(self.first_seconds * 2 ** min(failures - 1, _MOST_DOUBLINGS), self.longest_seconds)
        return random.uniform(self.shortest_seconds, ceiling)  # noqa: S311 # spreads callers out; nothing secret


def spread(seconds: float, part: float) -> float:
    """Return *seconds* plus a random share of up to *part*, for a pause that a server asks of all callers at once."""
    return seconds * random.uniform(1, 1 + part)  # noqa: S311 # spreads callers out; nothing secret
