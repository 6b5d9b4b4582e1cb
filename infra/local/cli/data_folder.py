"""A data folder: its parts, and the lock that admits a single stack and ends with the stack's process."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infra.host import processes
from infra.host.processes import Identity
from infra.local.lab.clock import PART
from infra.operations import running_stack
from infra.operations.running_stack import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The subfolders of a data folder that belong to the stack.
PARTS = ("mongod", "emulator", "receiver", "package", PART)


class AlreadyRunning(Exception):
    """Another process holds the folder."""


class Folder:
    """A data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder against other stacks for the length of the block.

        The system releases the lock when the process ends, so no lock is ever stale.

        Raises:
            AlreadyRunning: another stack holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning from None
            self.write(Run(Identity.of(os.getpid()), url="", environment={}))
            try:
                yield
            finally:
                running_stack.forget(self.path)

    def write(self, run: Run) -> None:
        """Write the note of *run*, atomically and readable only by this user."""
        running_stack.write(self.path, run)

    def read(self) -> Run | None:
        """Return the stack that runs on the folder, else None."""
        return running_stack.read(self.path)

    def reclaim(self) -> None:
        """End processes that a killed supervisor has left running."""
        for part in PARTS:
            for file in (self.path / part).glob("*.pid"):
                processes.reclaim(file)

    def wipe(self) -> None:
        """Delete the stack's data, and no other file in the folder. Ends leftover processes first."""
        self.reclaim()
        for part in PARTS:
            shutil.rmtree(self.path / part, ignore_errors=True)
