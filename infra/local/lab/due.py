"""Asks the slices for their due moments, in a process with the environment and the clock of the stack's functions.

``python -m infra.local.lab.due`` answers each line of its input with one line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from infra.environment import ROOT
from infra.operations.failures import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping


class Unanswered(CommandFailed):
    """The due moments cannot be read. The process has printed the reason."""


class State(NamedTuple):
    """The due moments by slice, and how many messages each queue has completed, failed and dead-lettered."""

    due: dict[str, datetime]
    counts: dict[str, dict[str, int]]


class Slices:
    """The process that asks the slices. *environment* is that of the stack (`Stack.environment`)."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "infra.local.lab.due"]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={"PATH": os.defpath, **self._environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if process := self._process:
            process.communicate()

    def state(self) -> State:
        """Return the present state.

        Raises:
            Unanswered: the process has ended.
        """
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise Unanswered("The process that asks the slices does not run.")
        try:
            process.stdin.write("\n")
            found = json.loads(process.stdout.readline())
        except (BrokenPipeError, ValueError):
            raise Unanswered("The slices cannot be asked for their due moments.") from None
        due = {name: datetime.fromisoformat(at) for name, at in found["due"].items() if at}
        return State(due, found["counts"])


def serve(asked: IO[str], answers: IO[str]) -> None:
    """Answer each line of *asked* until its end."""
    # The application: imported by the process alone that has the environment of the functions.
    from chalicelib import slices  # noqa: PLC0415
    from chalicelib.core.coordination.counts import Counts  # noqa: PLC0415
    from chalicelib.core.stores import clients  # noqa: PLC0415

    counts = Counts(clients.table("coordination"))
    names = [queue.name for queue in slices.QUEUES]
    for _ in asked:
        due = {name: at.isoformat() if at else None for name, at in slices.next_due().items()}
        state = {"due": due, "counts": counts.read(names, ("completed", "failed"))}
        answers.write(json.dumps(state) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
