"""Child processes that cannot outlive us.

Each leads a process group of its own, so that a Ctrl-C at the terminal reaches only the supervisor and so that ending
a child ends what it started.
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

from infra.host import die_with_parent, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DIE_WITH_PARENT = Path(die_with_parent.__file__)
#: The kernel sends the death signal when the forking thread ends, not the process; this thread lives as long as we do.
_forking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forking")


class ChildFailed(Exception):
    """A child process did not start, or ended by itself; the text carries the end of its log."""


class Child:
    """One child process; its words and its number are files beside its data."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self.note = log.with_suffix(".pid")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id, also that of its group.

        Raises:
            ChildFailed: it does not run.
        """
        return self._started().pid

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def spawn(
        self,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        *,
        folder: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start *command* in *folder* with exactly *env*; it gets SIGTERM when we die, however we die.

        What an earlier run left running under the same note is ended first.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        processes.reclaim(self.note)
        wrapper = [sys.executable, "-I", "-S", str(DIE_WITH_PARENT), str(int(signal.SIGTERM)), str(os.getpid())]
        with self.log.open("wb") as log:
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
        """Block until it ends and return its exit code, negative for a signal."""
        return self._started().wait()

    def terminate(self, deadline_seconds: float) -> None:
        """Ask it to end and see to it: what is left of its group after the deadline is killed."""
        if process := self._process:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(deadline_seconds)
            self.kill()

    def kill(self) -> None:
        """End it and all it started at once, without a chance to save anything."""
        # The number may soon be another's: never signal it twice.
        process, self._process = self._process, None
        if process:
            # The group outlives its leader as long as one member lives, so this also finds orphans.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self.note.unlink(missing_ok=True)

    def tail(self, lines: int = 15) -> str:
        """Return the end of its log."""
        try:
            words = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(words[-lines:])

    def failed(self, what: str) -> ChildFailed:
        """Return the error that says *what* happened, with the end of the log."""
        return ChildFailed(f"{self.name} {what}. The end of {self.log}:\n{self.tail()}")

    def until(self, ready: Callable[[], bool], deadline_seconds: float) -> None:
        """Block until *ready* says so.

        Raises:
            ChildFailed: it ended, or was not ready in time.
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
