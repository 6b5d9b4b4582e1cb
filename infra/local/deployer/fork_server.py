"""A process that has everything imported and forks itself for each task (tasks.py).

Packaging and deploying need half of what pip installed. Here that is loaded once, while other processes start, and let
go of afterwards; the supervisor stays small, and a reload takes a quarter of a second instead of a whole one.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from infra.environment import ROOT
from infra.local.processes.child import Child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TaskFailed(Exception):
    """A task ended with an error; the text says which."""


class Zygote:
    """The process, and one task at a time in a fork of it."""

    def __init__(self, folder: Path) -> None:
        self.child = Child("the deploying process", folder / "zygote.log")
        self._lock = threading.Lock()
        self._line: socket.socket | None = None

    def start(self) -> None:
        """Start without waiting; the first task waits until it is loaded."""
        self._line, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "infra.local.deployer.fork_server", str(theirs.fileno())]
            self.child.spawn(command, os.environ, folder=ROOT, pass_fds=[theirs.fileno()])

    def call(self, task: str, **arguments: Any) -> Any:
        """Run *task* and return its result.

        Raises:
            TaskFailed: with what the task said.
            ChildFailed: the process is gone.
        """
        with self._lock:
            if not self.child.alive:
                self.start()
            if self._line is None:
                raise self.child.failed("is not connected")
            with self._line.makefile("rw") as line:
                line.write(json.dumps([task, arguments]) + "\n")
                line.flush()
                answer = line.readline()
        if not answer:
            raise self.child.failed(f"ended during the task {task!r}")
        result, fault = json.loads(answer)
        if fault is not None:
            raise TaskFailed(fault)
        return result

    def stop(self) -> None:
        """End it, and the task at work."""
        self.child.kill()
        if self._line:
            self._line.close()
            self._line = None


def serve(line: socket.socket) -> None:
    """Run each task that comes down the *line*, until the other end is closed."""
    from infra.local.deployer import tasks  # noqa: PLC0415 - the other end needs nothing of it

    tasks.preload()
    with line.makefile("rw") as words:
        for request in words:
            task, arguments = json.loads(request)
            if os.fork() == 0:
                words.write(json.dumps(outcome(tasks.TASKS[task], arguments)) + "\n")
                words.flush()
                os._exit(0)
            if os.wait()[1]:
                words.write(json.dumps([None, f"The task {task!r} died."]) + "\n")
                words.flush()


def outcome(task: Callable[..., Any], arguments: dict[str, Any]) -> tuple[Any, str | None]:
    """Return the task's result and nothing, or nothing and what it died of."""
    from infra.local.deployer.tasks import explained  # noqa: PLC0415

    try:
        return task(**arguments), None
    # Whatever it is, it is for the caller to know.
    except BaseException as exc:  # noqa: BLE001
        return None, explained(exc)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
