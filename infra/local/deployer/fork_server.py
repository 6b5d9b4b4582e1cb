"""A fork server: a process that has everything imported and forks itself for each task (tasks.py).

Packaging and deploying need half of what pip installed. The fork server loads that once, while other processes start,
and ends afterwards. So the supervisor stays small, and a reload takes a quarter of a second instead of a whole one.
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


class ForkServer:
    """The fork server's process, as its parent sees it. One task runs at a time, each in a fork."""

    def __init__(self, folder: Path) -> None:
        self.child = Child("the deploying process", folder / "fork_server.log")
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    def start(self) -> None:
        """Start the process without waiting; the first task waits until everything is loaded."""
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
        """End the process, and the task at work."""
        self.child.kill()
        if self._connection:
            self._connection.close()
            self._connection = None


def serve(connection: socket.socket) -> None:
    """Run each task that the parent sends, until the parent closes its end of the *connection*."""
    from infra.local.deployer import tasks  # noqa: PLC0415 - the parent needs nothing of it

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
