"""Remembers in this process which keys a rate has refused, and until when: a flood then costs the stores nothing.

A refusal says when the next token is due. No earlier attempt can succeed, unless a login that is being checked gives
its token back, so a remembered refusal is hardly ever too strict.
"""

from collections.abc import Callable
from time import monotonic

#: The most keys. Beyond, all are forgotten, and each costs one call to the store again.
_MOST = 10_000


class Refusals:
    """Refused keys, each with the moment at which its next token is due. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def remaining_ms(self, key: str) -> int:
        """Return the milliseconds until *key* may try again, 0 if nothing is known of *key*."""
        return max(0, round((self._until.get(key, 0.0) - self._clock()) * 1000))

    def add(self, key: str, retry_after_ms: int) -> None:
        """Remember that *key* has no token for *retry_after_ms*."""
        if len(self._until) >= _MOST:
            self._until.clear()
        self._until[key] = self._clock() + retry_after_ms / 1000
