"""The sweep, every minute: each slice finishes what a process that died left, and dispatches what is due soon.

Slices take turns within one invocation. Each has a budget, its fair part of the time that is left, after which it
begins nothing new; and the first one is another each minute. So a slice with endless work, or a slow one, starves no
other. A sweep that fails is logged and
tried again in a minute. How old the oldest entry is that is due and not done is a metric of each slice.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from time import time
from typing import Any, NamedTuple

from chalicelib.core.runtime import deadline, logs

#: Of the invocation's time, what is left for the last log line.
_MARGIN_MS = 1_000
_MINUTE_SECONDS = 60


class Sweep(NamedTuple):
    """What one slice does every minute, and when its next entry is due."""

    name: str
    #: Finishes what was left, and returns how much that was. Does one bounded step at least, and begins no other once
    #: `deadline.remaining_ms` is over. Safe to run twice.
    run: Callable[[], int]
    #: Returns the earliest moment at which something is due and not done, or None.
    next_due: Callable[[], datetime | None] | None = None


def run(event: Any, sweeps: Sequence[Sweep], now: Callable[[], float] = time) -> None:
    """Run every sweep once. Never raises: what is left over is still there in a minute."""
    with deadline.bind(event.context), logs.invocation("sweep") as line:
        line.add(requestId=event.event_id)
        for place, sweep in enumerate(_in_turn(sweeps, now())):
            with deadline.at_most(_budget_ms(len(sweeps) - place)):
                _run(sweep, now)


def next_due(sweeps: Sequence[Sweep]) -> Mapping[str, datetime | None]:
    """Return the earliest moment at which something of each slice is due and not done, by the slice's name."""
    return {sweep.name: sweep.next_due() for sweep in sweeps if sweep.next_due}


def _in_turn(sweeps: Sequence[Sweep], now_seconds: float) -> list[Sweep]:
    """Return *sweeps* with another one first each minute."""
    first = int(now_seconds // _MINUTE_SECONDS) % max(1, len(sweeps))
    return [*sweeps[first:], *sweeps[:first]]


def _budget_ms(waiting: int) -> int:
    """Return the part of what is left of one of *waiting* slices."""
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
    """Return for how long *due* has passed; 0 if it has not."""
    if due is None:
        return 0
    return max(0, round((datetime.fromtimestamp(now_seconds, UTC) - due).total_seconds() * 1000))
