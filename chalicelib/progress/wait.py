"""Waits for a change: check, poll until the change comes or time is up, check again. Reads alone, never a write.

Waiting calls of one process share their reads: a server with two hundred watchers of a job reads the job as often as
one watcher does.
"""

from collections.abc import Callable, Hashable
from threading import Lock
from time import monotonic, sleep
from typing import Generic, TypeVar

from chalicelib.core.errors import Unavailable
from chalicelib.progress.settings import ProgressSettings

Read = TypeVar("Read")

#: A reading that began at most so long ago serves further waiting calls.
_FRESH_SECONDS = 0.05


class Waiter(Generic[Read]):
    """Polls with pauses that grow from the first to the slowest, as often as the options say."""

    def __init__(
        self,
        settings: ProgressSettings,
        clock: Callable[[], float] = monotonic,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        self._settings, self._clock, self._pause = settings, clock, pause
        self._lock = Lock()
        self._readings: dict[Hashable, tuple[float, Read]] = {}

    def wait(
        self, key: Hashable, read: Callable[[], Read], changed: Callable[[Read], bool], seen: Read, wait_ms: int
    ) -> Read:
        """Return the first reading that *changed* accepts, or the last one after *wait_ms*; *seen* was read before.

        A change before the call is not missed. Readings of the same *key* are shared with other calls. An outage of
        the store during the wait is a reading that failed.

        Raises:
            ServiceError: *read* raised it; `Unavailable` only at the end of the wait.
        """
        until = self._clock() + wait_ms / 1000
        pause_ms = float(self._settings.first_poll_ms)
        while not changed(seen) and (left := until - self._clock()) > 0:
            self._pause(min(pause_ms / 1000, left))
            pause_ms = min(pause_ms * self._settings.poll_growth, self._settings.slowest_poll_ms)
            try:
                seen = self._shared(key, read)
            except Unavailable:
                if self._clock() >= until:
                    raise
        return seen

    def _shared(self, key: Hashable, read: Callable[[], Read]) -> Read:
        now = self._clock()
        with self._lock:
            self._readings = {each: kept for each, kept in self._readings.items() if now - kept[0] < _FRESH_SECONDS}
            if key in self._readings:
                return self._readings[key][1]
        found = read()
        with self._lock:
            self._readings[key] = (now, found)
        return found
