"""The sweep, every minute: each slice finishes work that a dead process left, and dispatches entries due soon.

Slices take turns within one invocation. Each slice has a budget, a fair part of the remaining time, after which the
slice begins nothing new; another slice is first each minute. So a slow slice, or a slice with endless work, starves no
other slice. A failed sweep is logged and tried again in a minute. Each slice has a metric: the age of the oldest entry
that is due and not done.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from time import time
from typing import Any, NamedTuple

from chalicelib.core.runtime import deadline, logs

#: The part of the invocation's time that is reserved for the log record.
_MARGIN_MS = 1_000
_MINUTE_SECONDS = 60


class Sweep(NamedTuple):
    """The minutely work of one slice, and the time at which its next entry is due."""

    name: str
    #: Finishes work that was left, and returns the number of finished pieces. Does at least one bounded step, and
    #: begins no other step once `deadline.remaining_ms` is 0. Safe to run twice.
    run: Callable[[], int]
    #: Returns when the earliest unfinished work is due, or None.
    next_due: Callable[[], datetime | None] | None = None


def run(event: Any, sweeps: Sequence[Sweep], now: Callable[[], float] = time) -> None:
    """Run every sweep once. Never raises: the next sweep, a minute later, finds all unfinished work."""
    with deadline.bind(event.context), logs.invocation("sweep") as line:
        line.add(requestId=event.event_id)
        for place, sweep in enumerate(_rotated(sweeps, now())):
            with deadline.at_most(_budget_ms(len(sweeps) - place)):
                _run(sweep, now)


def next_due(sweeps: Sequence[Sweep]) -> Mapping[str, datetime | None]:
    """Return by slice name when the earliest unfinished work of the slice is due."""
    return {sweep.name: sweep.next_due() for sweep in sweeps if sweep.next_due}


def _rotated(sweeps: Sequence[Sweep], now_seconds: float) -> list[Sweep]:
    """Return *sweeps* in rotation: each minute another sweep is first."""
    first = int(now_seconds // _MINUTE_SECONDS) % max(1, len(sweeps))
    return [*sweeps[first:], *sweeps[:first]]


def _budget_ms(waiting: int) -> int:
    """Return one slice's part of the remaining time, shared by *waiting* slices."""
    left = deadline.remaining_ms() or 0
    return max(0, left - _MARGIN_MS) // waiting


def _run(sweep: Sweep, now: Callable[[], float]) -> None:
    line = logs.line()
    try:
        line.add(**{sweep.name: sweep.run()})
        if sweep.next_due:
            line.count(f"{sweep.name}OldestDueMs", _age_ms(sweep.next_due(), now()))
    except Exception as error:  # noqa: BLE001 # the outermost edge of a schedule
        line.count("sweepsFailed")
        logs.failed(f"{sweep.name}_sweep_failed", error)


def _age_ms(due: datetime | None, now_seconds: float) -> int:
    """Return the milliseconds since *due*; 0 if *due* is None or in the future."""
    if due is None:
        return 0
    return max(0, round((datetime.fromtimestamp(now_seconds, UTC) - due).total_seconds() * 1000))
