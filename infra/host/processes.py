"""Which process is meant: a number alone may since have been given to another one."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from pathlib import Path


class Identity(NamedTuple):
    """One process, for as long as it lives."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> Identity:
        """Return the identity of the process that has *pid* now; one that nobody has if there is none."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return cls(pid, 0.0)

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def gone(self, deadline_seconds: float) -> bool:
        """Wait for its end; whether it came in time."""
        deadline = time.monotonic() + deadline_seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def note(file: Path, pid: int) -> None:
    """Write down in *file* which process is meant by it."""
    file.write_text(json.dumps(Identity.of(pid)))


def noted(file: Path) -> Identity | None:
    """Return the process that *file* names, if it still runs."""
    try:
        identity = Identity(*json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return identity if identity.alive else None


def reclaim(file: Path, deadline_seconds: float = 20) -> None:
    """End the process group whose leader *file* names, if an earlier run left it, and forget it."""
    if leader := noted(file):
        _signal_group(leader.pid, signal.SIGTERM)
        leader.gone(deadline_seconds)
        _signal_group(leader.pid, signal.SIGKILL)
    file.unlink(missing_ok=True)


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
