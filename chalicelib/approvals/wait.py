"""How a caller waits for an answer: check, look until it comes or time is up, check again.

One interface, two ways. A function holds one caller, so it looks again and again (`Polling`). A long-lived server holds
many and would share one change stream among them, behind the same method.
"""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Protocol

from chalicelib.approvals.models import Seen
from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.errors import Unavailable


class Waiter(Protocol):
    """Something that can wait for a request to be settled."""

    def wait(self, seen: Seen, wait_ms: int) -> Seen:
        """Return *seen* as soon as it is settled, or as it is after *wait_ms*.

        An answer given before the call is not missed. The store failing while we wait is waited out; only when it
        fails at the end of the wait is it raised.

        Raises:
            Unavailable: the store could not be reached when time was up. The request stands as it was.
        """


class Polling:
    """Looks at pauses that grow from the first to the slowest: quick answers are met quickly, slow ones cost little."""

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
            seen = self._look(seen, until)
        return seen

    def _look(self, seen: Seen, until: float) -> Seen:
        """Look until the request is settled or overdue, or until *until*."""
        request_id = seen.approval.request_id
        overdue = self._clock() + max(seen.remaining_ms, 1) / 1000
        pause_ms = float(self._settings.first_poll_ms)
        while (left := min(until, overdue) - self._clock()) > 0:
            self._pause(min(pause_ms / 1000, left))
            pause_ms = min(pause_ms * self._settings.poll_growth, self._settings.slowest_poll_ms)
            if found := self._peek(request_id):
                return found
        return self._expire(request_id, until)

    def _expire(self, request_id: str, until: float) -> Seen:
        """Ask the store what became of it, again and again until *until* if it cannot be reached."""
        while True:
            try:
                return self._store.expire(request_id)
            except Unavailable:
                if (left := until - self._clock()) <= 0:
                    raise
                self._pause(min(self._settings.slowest_poll_ms / 1000, left))

    def _peek(self, request_id: str) -> Seen | None:
        try:
            return self._store.settled(request_id)
        except Unavailable:
            return None
