"""The stack that runs on one data folder of this machine, as its note says: ``scripts/up`` writes the note."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.host.processes import Identity

if TYPE_CHECKING:
    from pathlib import Path

_NOTE = "run.json"


class Run(NamedTuple):
    """A running stack. Without a URL it is still starting."""

    supervisor: Identity
    url: str
    #: The variables with which a program reaches the stack: endpoint, keys, database.
    environment: dict[str, str]


def read(folder: Path) -> Run | None:
    """Return what runs on *folder*, None if nothing does; the note of a killed supervisor counts for nothing."""
    try:
        found: dict[str, Any] = json.loads((folder / _NOTE).read_text())
        run = Run(Identity(*found["supervisor"]), found["url"], found["environment"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return run if run.supervisor.alive else None


def write(folder: Path, run: Run) -> None:
    """Let others see *run* on *folder*, in one step and only as this user: a database's URI may hold a password."""
    note = folder / _NOTE
    part = note.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(run._asdict()))
    part.replace(note)


def forget(folder: Path) -> None:
    """Delete the note of *folder*, if there is one."""
    (folder / _NOTE).unlink(missing_ok=True)
