"""A command as a process, like in a terminal."""

from __future__ import annotations

import subprocess
import threading
from typing import TYPE_CHECKING, Self

from infra.environment import ROOT
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence


class Program:
    """A running command with *environment* alone, and its output so far, errors included."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.wait()
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def output(self) -> str:
        """The output so far."""
        return "".join(self._lines)

    def wait_for(self, words: str) -> None:
        """Wait for *words* in the output; fail if the process ends first."""
        eventually(lambda: words in self.output or self._process.poll() is not None)
        assert words in self.output, self.output

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the process to end; return the exit code."""
        code = self._process.wait(timeout=60)
        self._reader.join(timeout=10)
        return code

    def _read(self) -> None:
        if self._process.stdout:
            for line in self._process.stdout:
                self._lines.append(line)
