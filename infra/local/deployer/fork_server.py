"""A fork server: a process with all imports loaded that forks for each task (tasks.py).

Packaging and deploying import half of the installed packages. The fork server imports the packages once, while other
processes start, and ends after the deployment. So the supervisor stays small, and a reload takes a quarter of a second
instead of a second.
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
    """A task ended with an error. The text is the task's own."""


class ForkServer:
    """Starts and calls the fork server from its parent process. A single task runs at a time, in a fork of its own."""

    def __init__(self, folder: Path) -> None:
        self.child = Child("the deploying process", folder / "fork_server.log")
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    def start(self) -> None:
        """Start the process without waiting. The first task waits until all imports are loaded."""
        self._connection, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "infra.local.deployer.fork_server", str(theirs.fileno())]
            self.child.spawn(command, os.environ, folder=ROOT, pass_fds=[theirs.fileno()])

    def call(self, task: str, **arguments: Any) -> Any:
        """Run *task* and return its result.

        Raises:
            TaskFailed: the task raised an error; the text is the task's own.
            ChildFailed: the process has ended.
        """
        with self._lock:
            if not self.child.alive:
                self.start()
            if self._connection is None:
                raise self.child.failed("is not connected")
            with self._connection.makefile("rw") as stream:
                stream.write(json.dumps([task, arguments]) + "\n")
                stream.flush()
                answer = stream.readline()
        if not answer:
            raise self.child.failed(f"ended during the task {task!r}")
        result, fault = json.loads(answer)
        if fault is not None:
            raise TaskFailed(fault)
        return result

    def stop(self) -> None:
        """End the process and the running task."""
        self.child.kill()
        if self._connection:
            self._connection.close()
            self._connection = None


def serve(connection: socket.socket) -> None:
    """Run each task sent by the parent until the parent closes its end of the *connection*."""
    from infra.local.deployer import tasks  # noqa: PLC0415 - the parent does not need the tasks

    tasks.preload()
    with connection.makefile("rw") as stream:
        for request in stream:
            task, arguments = json.loads(request)
            if os.fork() == 0:
                stream.write(json.dumps(outcome(tasks.TASKS[task], arguments)) + "\n")
                stream.flush()
                os._exit(0)
            if os.wait()[1]:
                stream.write(json.dumps([None, f"The task {task!r} died."]) + "\n")
                stream.flush()


def outcome(task: Callable[..., Any], arguments: dict[str, Any]) -> tuple[Any, str | None]:
    """Return (result, None), or (None, error text)."""
    from infra.local.deployer.tasks import explained  # noqa: PLC0415

    try:
        return task(**arguments), None
    # The caller raises every error of a task as TaskFailed.
    except BaseException as exc:  # noqa: BLE001
        return None, explained(exc)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
