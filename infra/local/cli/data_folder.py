"""What one data folder knows about the stack that runs on it: at most one, held by a lock that dies with it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.host import processes
from infra.host.processes import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: All that is ours in a data folder.
PARTS = ("mongod", "emulator", "package")


class Run(NamedTuple):
    """A running stack, as others see it. Without a URL it is still starting."""

    supervisor: Identity
    url: str
    #: What a program needs to reach it: endpoint, keys, database.
    environment: dict[str, str]


class AlreadyRunning(Exception):
    """Another process holds the folder."""


class Folder:
    """A data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path / "run.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one here for the length of the block. A lock has no stale state: the system drops it.

        Raises:
            AlreadyRunning: somebody else is.
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
                self._note.unlink(missing_ok=True)

    def write(self, run: Run) -> None:
        """Let others see *run*, all at once and only to this user: a database's URI may hold a password."""
        part = self._note.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(json.dumps(run._asdict()))
        part.replace(self._note)

    def read(self) -> Run | None:
        """Return what runs here, if anything does; a note left by a killed supervisor counts for nothing."""
        try:
            found: dict[str, Any] = json.loads(self._note.read_text())
            run = Run(Identity(*found["supervisor"]), found["url"], found["environment"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return run if run.supervisor.alive else None

    def reclaim(self) -> None:
        """End what a killed supervisor may have left running."""
        for part in PARTS:
            for file in (self.path / part).glob("*.pid"):
                processes.reclaim(file)

    def wipe(self) -> None:
        """Delete the data, and nothing that is not ours."""
        self.reclaim()
        for part in PARTS:
            shutil.rmtree(self.path / part, ignore_errors=True)
