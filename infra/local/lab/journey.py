"""A jump that visits each due moment on its way, in order.

A visit moves the clock to just before the moment, invokes the schedules that are due, and waits until queues and
streams are idle. So retries and escalations come in the order and the number in which they would have come.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from infra.local.lab.clock import Backwards
from infra.local.lab.flip import flip
from infra.local.lab.moment import shown
from infra.operations.failures import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.lab.clock import Clock
    from infra.local.lab.due import Slices, State
    from infra.local.lab.emulator import Endpoint
    from infra.local.lab.schedules import Schedules

#: A visit begins so long before its moment, so that the sweep dispatches ahead, as it does in every minute.
_AHEAD = timedelta(seconds=0.5)
#: A moment so near is waited for: a jump takes as long.
_NEAR = timedelta(seconds=1.5)
#: Overdue work that a visit did not end is visited again after a minute, as by the sweep, then after twice the time.
_AGAIN, _LONGEST = timedelta(minutes=1), timedelta(hours=1)
#: What the target of a jump is called among the reasons of a visit.
TARGET = "target"


class TooManyVisits(CommandFailed):
    """The bound on visits was reached before the target."""


class Visit(NamedTuple):
    """A visited moment."""

    moment: datetime
    #: The slices and queues that had the moment as their next one.
    reasons: tuple[str, ...]
    #: The work of the visit in words, empty if there was none.
    outcome: str


class Journey:
    """Jumps of the stack of *clock*. *on_visit* is called after each visit."""

    def __init__(
        self,
        clock: Clock,
        endpoint: Endpoint,
        slices: Slices,
        schedules: Schedules,
        on_visit: Callable[[Visit], None] = lambda _visit: None,
    ) -> None:
        self._clock, self._endpoint, self._slices, self._schedules = clock, endpoint, slices, schedules
        self._on_visit = on_visit
        self._overdue: dict[str, datetime] = {}
        self._again = _AGAIN

    def blind(self, target: datetime) -> None:
        """Jump to *target* at once; nothing is visited.

        Raises:
            Busy: work is running.
            Backwards: *target* has passed.
        """
        self._check(target)
        self._endpoint.check_idle()
        flip(self._clock, target)

    def run(self, target: datetime, most_visits: int) -> list[Visit]:
        """Visit each due moment until *target*, and *target* itself; return the visits.

        Raises:
            Busy: the stack did not come to rest. The clock stays where it is.
            Backwards: *target* has passed.
            TooManyVisits: *most_visits* were made, and *target* is not reached.
        """
        self._check(target)
        self._endpoint.rest()
        self._schedules.begin(self._clock.now())
        visits: list[Visit] = []
        state = self._slices.state()
        while not visits or TARGET not in visits[-1].reasons:
            if len(visits) == most_visits:
                raise TooManyVisits(
                    f"{most_visits} moments were visited, and {shown(target)} is not reached: the clock shows "
                    f"{shown(self._clock.now())}. Run the command again to go on, with a higher --visits, or --blind."
                )
            moment, reasons = self._next(state, target)
            state, outcome = self._visit(moment, state)
            visits.append(Visit(moment, reasons, outcome))
            self._on_visit(visits[-1])
        return visits

    def moments(self, state: State) -> dict[str, datetime]:
        """Return the next moment of each slice and of each queue with hidden messages."""
        hidden = self._endpoint.work().hidden
        return state.due | {f"queue {name}": moment for name, moment in hidden.items()}

    def _next(self, state: State, target: datetime) -> tuple[datetime, tuple[str, ...]]:
        """Return the next moment to visit, at *target* at the latest, and its reasons."""
        now, moments = self._clock.now(), {}
        overdue = {name: due for name, due in state.due.items() if due <= now}
        self._again = min(2 * self._again, _LONGEST) if overdue and overdue == self._overdue else _AGAIN
        self._overdue = overdue
        for name, due in self.moments(state).items():
            moments[name] = due if due > now else now + self._again
        first = min([*moments.values(), target])
        reasons = tuple(name for name, moment in moments.items() if moment - first < _AHEAD and moment <= target)
        return first, (*reasons, *([TARGET] if target - first < _AHEAD else []))

    def _visit(self, moment: datetime, before: State) -> tuple[State, str]:
        if moment - self._clock.now() > _NEAR:
            flip(self._clock, moment - _AHEAD)
        invoked = self._endpoint.work().invocations
        self._schedules.run(self._clock.now())
        time.sleep(max(0.0, (moment - self._clock.now()).total_seconds()))
        work, after = self._endpoint.rest(), self._slices.state()
        tried = {name: number - invoked.get(name, 0) for name, number in work.invocations.items()}
        return after, _outcome(tried, before, after)

    def _check(self, target: datetime) -> None:
        if target <= (now := self._clock.now()):
            raise Backwards(f"Time only goes forward: the stack's clock shows {shown(now)} already.")


def _outcome(invocations: dict[str, int], before: State, after: State) -> str:
    """Return the work between two states in words: what each queue has ended, else how often its function ran."""
    parts = []
    for queue, counts in after.counts.items():
        earlier = before.counts.get(queue, {})
        ended = {kind: count - earlier.get(kind, 0) for kind, count in counts.items() if count > earlier.get(kind, 0)}
        parts += [f"{queue} {count} {kind}" for kind, count in ended.items()]
        if not ended and invocations.get(queue):
            parts.append(f"{queue} {invocations[queue]} invoked")
    return ", ".join(parts)
