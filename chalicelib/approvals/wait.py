"""Waits for an answer: check, poll until the answer comes or time is up, check again.

`Waiter` is the interface. A function holds one caller, and polls (`Polling`). A long-lived server holds many callers; a
waiter for a server would share one change stream among all callers.
"""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Protocol

from chalicelib.approvals.models import Seen
from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.errors import Unavailable


class Waiter(Protocol):
    """Waits for a request to be settled."""

    def wait(self, seen: Seen, wait_ms: int) -> Seen:
        """Return the request as soon as settled, or the state of the request after *wait_ms*.

        An answer given before the call is not missed. Failures of the store during the wait are retried; only a failure
        at the end of the wait is raised.

        Raises:
            Unavailable: the store could not be reached when time was up. The request is unchanged.
        """


class Polling:
    """Polls with pauses that grow from the first to the slowest: quick answers return soon, slow answers are cheap."""

    def __init__(
        self,
        store: ApprovalStore,
        settings: ApprovalSettings,
        clock: Callable[[], float] = monotonic,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        self._store, self._settings = store, settings
        self._clock, self._pause = clock, pause

    def wait(self, seen: Seen, wait_ms: int) -> Seen:
        """Wait as `Waiter.wait` promises."""
        until = self._clock() + wait_ms / 1000
        while not seen.settled and self._clock() < until:
            seen = self._poll(seen, until)
        return seen

    def _poll(self, seen: Seen, until: float) -> Seen:
        """Poll until the request is settled or overdue, or until *until*."""
        request_id = seen.approval.request_id
        overdue = self._clock() + max(seen.remaining_ms, 1) / 1000
        pause_ms = float(self._settings.first_poll_ms)
        while (left := min(until, overdue) - self._clock()) > 0:
            self._pause(min(pause_ms / 1000, left))
            pause_ms = min(pause_ms * self._settings.poll_growth, self._settings.slowest_poll_ms)
            if found := self._settled_or_none(request_id):
                return found
        return self._expire(request_id, until)

    def _expire(self, request_id: str, until: float) -> Seen:
        """Record a due timeout and return the request. Retry until *until* while the store is unreachable."""
        while True:
            try:
                return self._store.expire(request_id)
            except Unavailable:
                if (left := until - self._clock()) <= 0:
                    raise
                self._pause(min(self._settings.slowest_poll_ms / 1000, left))

    def _settled_or_none(self, request_id: str) -> Seen | None:
        try:
            return self._store.settled(request_id)
        except Unavailable:
            return None
