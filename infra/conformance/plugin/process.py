"""The process of a function, seen from outside: asked line by line, with a time limit."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

WORKER = Path(__file__).with_name("worker.py")
#: An import of the whole code on a busy machine was seen to take 20 s.
START_SECONDS = 120


class Died(Exception):
    """The process ended without an answer."""


class TookTooLong(Exception):
    """The process did not answer in time."""


class Process:
    """A process of the handler *handler* with code and layers of *path*, and *variables* alone; *log* gets its output.

    The constructor returns when the handler is imported, and raises Died or TookTooLong if that fails.
    """

    def __init__(self, path: str, handler: str, variables: Mapping[str, str], log: Path) -> None:
        self._answers: queue.Queue[str] = queue.Queue()
        with log.open("ab") as printed:
            self._process = subprocess.Popen(
                # Without -S, packages of this interpreter could stand in for those that the code lacks.
                [sys.executable, "-I", "-S", WORKER, path, handler],
                env=dict(variables),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                text=True,
            )
        self._input = cast("IO[str]", self._process.stdin)
        threading.Thread(target=self._collect, daemon=True).start()
        try:
            self._next(START_SECONDS)
        except BaseException:
            self.kill()
            raise

    @property
    def alive(self) -> bool:
        """Whether the process can be asked."""
        return self._process.poll() is None

    def ask(self, invocation: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Return the answer to *invocation*.

        Raises:
            Died, TookTooLong: there is none; the caller ends the process.
        """
        try:
            print(json.dumps(invocation), file=self._input, flush=True)
        except OSError as error:
            raise Died from error
        return self._next(seconds)

    def kill(self) -> None:
        """End the process at once. Safe to repeat."""
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._input.close()

    def _collect(self) -> None:
        """Keep each line of the process for `_next`, and an empty text at the end."""
        with cast("IO[str]", self._process.stdout) as lines:
            for line in lines:
                self._answers.put(line)
        self._answers.put("")

    def _next(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise TookTooLong from None
        if not line:
            raise Died
        answer: dict[str, Any] = json.loads(line)
        return answer
