"""``scripts/up`` as a process, like in a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import requests

from infra.environment import ROOT
from infra.host import ports
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

#: Prefixes of variables that would point the stack at other processes.
FOREIGN = ("AWS_", "LOCALSTACK_", "MONGODB_", "HOLDFAST_")


class Up:
    """A run of ``scripts/up``, and its output so far."""

    def __init__(self, data: Path, *options: str, root: Path = ROOT, **variables: str) -> None:
        self.data = data
        self.port = ports.free()
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "infra.local", "--data", str(data), "--port", str(self.port), *options],
            cwd=root,
            env=shell() | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Up:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self.wait()
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    @property
    def url(self) -> str:
        """The URL of the API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """The output so far."""
        return "".join(self._lines)

    def wait_for(self, words: str) -> Up:
        """Wait for *words* in the output; fail if the process ends first."""
        eventually(lambda: words in self.output or self._process.poll() is not None)
        assert words in self.output, self.output
        return self

    def ready(self) -> Up:
        """Wait until the output announces that callers can connect."""
        return self.wait_for("Holdfast is up").wait_for("user ")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the process to end; return the exit code."""
        code = self._process.wait(timeout=60)
        self._reader.join(timeout=10)
        return code

    def child(self, part: str) -> int:
        """Return the process id of *part*."""
        note: list[int] = json.loads((self.data / part / f"{part}.pid").read_text())
        return note[0]

    def health(self) -> dict[str, object]:
        """Return the document of the API's health."""
        response = requests.get(f"{self.url}/health", timeout=30)
        assert response.status_code == 200, response.text
        document: dict[str, object] = response.json()
        return document

    def _read(self) -> None:
        if self._process.stdout:
            for line in self._process.stdout:
                self._lines.append(line)


def run(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run ``scripts/up`` until the process ends."""
    command = [sys.executable, "-m", "infra.local", "--data", str(data), *options]
    return subprocess.run(command, cwd=ROOT, env=shell(), capture_output=True, text=True, timeout=90, check=False)


def shell() -> dict[str, str]:
    """Return the caller's environment without `FOREIGN` variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
