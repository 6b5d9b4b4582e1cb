"""A breaker for each store: after a call that found the store down, a process refuses further calls.

A doomed call occupies its process until the driver's deadline. With a breaker only the first calls of an outage do;
the others fail at once, and leave their places to callers who do not need the store. One call at a time probes the
store: the next one, and after a failed probe one after each pause.

A store is down only if it answered nobody meanwhile: one slow query among others that are answered opens no breaker.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import Any

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import logs
from chalicelib.core.runtime.backoff import Backoff

#: How long no call probes after a failed probe: longer each time, so that probes take little of a process's time.
_PAUSE = Backoff(first_seconds=1, longest_seconds=2, shortest_seconds=1)
#: After so long a probe counts as dead, and another call may probe.
_PROBE_SECONDS = 10.0


class Down(Exception):
    """A driver found its store down: no answer, or no connection. The cause is the driver's error."""


class Breaker:
    """Refuses calls of a store that was found down. Threads may share a breaker."""

    def __init__(self, store: str, threshold: int = 1, ticks: Callable[[], float] = monotonic) -> None:
        """Open after *threshold* failures in a row. *store* names the store in the sentence of a refusal."""
        self._sentence = f"{store} cannot be reached just now."
        self._threshold, self._ticks, self._lock = threshold, ticks, Lock()
        #: Asks the store the cheapest question; a probe may ask it before its own call.
        self.ping: Callable[[], Any] = lambda: None
        self._failures = 0
        self._answered_at = self._opens_at = self._probed_until = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether the next call is refused, or a probe."""
        return self._failures >= self._threshold

    @contextmanager
    def call(self) -> Iterator[bool]:
        """Run a call of the store in the block, which raises `Down` if the store is down. Yield whether it is a probe.

        Raises:
            Unavailable: the store was down a moment ago, and the block did not run; or the block raised `Down`.
        """
        probing, began = self.is_open and self._may_probe(), self._ticks()
        try:
            yield probing
        except Down as down:
            self._fail(began, probing=probing)
            raise Unavailable(self._sentence) from down.__cause__
        except BaseException:
            if probing:
                self._end_probe()
            raise
        self._answered_at = self._ticks()
        if self._failures:
            self._close()

    def _may_probe(self) -> bool:
        """Return whether this call is the probe, or may run because another call has closed the breaker.

        Raises:
            Unavailable: the call is refused.
        """
        with self._lock:
            if not self.is_open:
                return False
            now = self._ticks()
            if now < max(self._opens_at, self._probed_until):
                logs.line().count("callsRefusedEarly")
                raise Unavailable(self._sentence)
            self._probed_until = now + _PROBE_SECONDS
            return True

    def _fail(self, began: float, *, probing: bool) -> None:
        with self._lock:
            # The store answered others meanwhile, or calls of the same moment have opened the breaker already.
            if not probing and (self._answered_at >= began or self.is_open):
                return
            self._failures += 1
            if probing:
                self._opens_at = self._ticks() + _PAUSE.seconds(self._failures - self._threshold)
            self._probed_until = float("-inf")

    def _close(self) -> None:
        with self._lock:
            self._failures = 0
            self._opens_at = float("-inf")
            self._probed_until = float("-inf")

    def _end_probe(self) -> None:
        with self._lock:
            self._probed_until = float("-inf")
