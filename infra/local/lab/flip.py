"""Moves the clock of all processes of a stack at once.

A process takes a new offset over at its first look at the clock in the next second of real time. So the processes are
stopped just before a second ends, and continue when the second has ended: no process ever sees another's former time.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from infra.host import processes
from infra.operations.failures import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from infra.local.lab.clock import Clock

#: The stop before the end of a second, in which the offset is written.
_BEFORE_SECONDS = 0.05
#: A process that has continued reads the clock after the end of the second, not at it.
_AFTER_SECONDS = 0.005
#: The notes of the processes' groups in a data folder. The functions belong to the group of the emulator.
NOTES = ("emulator/emulator.pid", "mongod/mongod.pid")


class NotRunning(CommandFailed):
    """A process of the stack has ended."""


def flip(clock: Clock, moment: datetime) -> None:
    """Move the clock of all processes to *moment*; return when every process shows the new time. Takes up to a second.

    The processes stand still for a twentieth of a second. If *moment* passes meanwhile, the clock stays.

    Raises:
        NotRunning: a process of the stack has ended.
    """
    groups = [_group(clock.folder / note) for note in NOTES]
    time.sleep((-_BEFORE_SECONDS - time.time()) % 1)
    with _uninterrupted(), _stopped(groups):
        ends = int(time.time()) + 1
        clock.advance(max(clock.offset_seconds, moment.timestamp() - ends))
        time.sleep(max(0.0, ends + _AFTER_SECONDS - time.time()))


def _group(note: Path) -> int:
    found = processes.noted(note)
    if found is None:
        raise NotRunning(f"The process of {note} has ended. Start the stack again with scripts/up --lab.")
    return found.pid


@contextmanager
def _stopped(groups: list[int]) -> Iterator[None]:
    try:
        for group in groups:
            os.killpg(group, signal.SIGSTOP)
        yield
    finally:
        for group in groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back, which would leave the processes stopped if it came at the wrong moment."""
    held = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
