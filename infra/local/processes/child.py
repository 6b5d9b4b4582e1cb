"""Starts and ends child processes. No child outlives this process.

Each child leads a process group of its own. So a Ctrl-C at the terminal reaches only the supervisor, and ending a child
ends the child's own children too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from infra.host import die_with_parent, logfile, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DIE_WITH_PARENT = Path(die_with_parent.__file__)
#: The kernel sends the death signal when the forking thread ends. This thread lives as long as this process.
_forking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forking")


class ChildFailed(Exception):
    """A child process did not start, ended by itself, or does not run. The text holds the end of the log if started."""


class Child:
    """A child process. Its output and its identity are files beside its data; its owner alone can read the output."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self.note = log.with_suffix(".pid")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the child, also the id of the process group.

        Raises:
            ChildFailed: the child was not started, or was stopped.
        """
        return self._started().pid

    @property
    def alive(self) -> bool:
        """Whether the child was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def spawn(
        self,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        *,
        folder: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start *command* in *folder* with exactly *env*.

        The child gets SIGTERM when this process dies, however this process dies (Linux only). A process group left
        running by an earlier run under the same note is ended first.
        """
        processes.reclaim(self.note)
        wrapper = [sys.executable, "-I", "-S", str(DIE_WITH_PARENT), str(int(signal.SIGTERM)), str(os.getpid())]
        with logfile.opened(self.log) as log:
            self._process = _forking.submit(
                subprocess.Popen,
                [*wrapper, *map(str, command)],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=folder,
                pass_fds=pass_fds,
            ).result()
        processes.note(self.note, self._process.pid)

    def wait(self) -> int:
        """Block until the child ends; return the exit code, negative for a signal."""
        return self._started().wait()

    def terminate(self, deadline_seconds: float) -> None:
        """Send SIGTERM and wait up to the deadline, then kill the rest of the process group."""
        if process := self._process:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(deadline_seconds)
            self.kill()

    def kill(self) -> None:
        """Kill the child's whole process group at once. The processes cannot save anything."""
        # The system may reuse the pid soon, so the group is never signalled twice.
        process, self._process = self._process, None
        if process:
            # The group exists as long as any member lives, so orphans of the leader are killed too.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self.note.unlink(missing_ok=True)

    def tail(self, lines: int = 15) -> str:
        """Return the last *lines* of the log, an empty text if there is no log."""
        try:
            log_lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(log_lines[-lines:])

    def failed(self, event: str) -> ChildFailed:
        """Return the error for *event* ("ended unexpectedly"), with the end of the log."""
        return ChildFailed(f"{self.name} {event}. The end of {self.log}:\n{self.tail()}")

    def until(self, ready: Callable[[], bool], deadline_seconds: float) -> None:
        """Block until *ready* returns true.

        Raises:
            ChildFailed: the child ended, or was not ready in time.
        """
        deadline = time.monotonic() + deadline_seconds
        while not ready():
            if not self.alive:
                raise self.failed("ended while it was starting")
            if time.monotonic() > deadline:
                raise self.failed(f"was not ready within {deadline_seconds:.0f} s")
            time.sleep(0.01)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ChildFailed(f"{self.name} does not run.")
        return self._process
