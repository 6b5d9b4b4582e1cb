"""Identifies processes by pid and creation time, because the system gives a pid to a new process later."""

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
    """A process: its pid, and its creation time in seconds since 1970. Never matches a later process with the pid."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> Identity:
        """Return the identity of the process that has *pid* now. If there is none, the identity is never alive."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return cls(pid, 0.0)

    @property
    def alive(self) -> bool:
        """Whether the process still runs. A zombie counts as ended."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def gone(self, deadline_seconds: float) -> bool:
        """Wait up to *deadline_seconds* for the process to end; return whether the process has ended."""
        deadline = time.monotonic() + deadline_seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def note(file: Path, pid: int) -> None:
    """Write the identity of the process *pid* to *file*."""
    file.write_text(json.dumps(Identity.of(pid)))


def noted(file: Path) -> Identity | None:
    """Return the process that *file* names if still running, else None."""
    try:
        identity = Identity(*json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return identity if identity.alive else None


def reclaim(file: Path, deadline_seconds: float = 20) -> None:
    """End the process group whose leader *file* names, and delete *file*. Do nothing to a leader that has ended.

    The group gets SIGTERM, and SIGKILL when the leader has ended or after *deadline_seconds*.
    """
    if leader := noted(file):
        _signal_group(leader.pid, signal.SIGTERM)
        leader.gone(deadline_seconds)
        _signal_group(leader.pid, signal.SIGKILL)
    file.unlink(missing_ok=True)


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
