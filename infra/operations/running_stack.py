"""The note file that describes the stack running on a data folder of this machine. ``scripts/up`` writes the note."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.host.processes import Identity

if TYPE_CHECKING:
    from pathlib import Path

_NOTE = "run.json"


class Run(NamedTuple):
    """A running stack. With an empty *url* the stack is still starting."""

    supervisor: Identity
    url: str
    #: The variables with which a program reaches the stack: endpoint, keys, database.
    environment: dict[str, str]


def read(folder: Path) -> Run | None:
    """Return the stack that runs on *folder*, else None. The note of a dead supervisor is ignored."""
    try:
        found: dict[str, Any] = json.loads((folder / _NOTE).read_text())
        run = Run(Identity(*found["supervisor"]), found["url"], found["environment"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return run if run.supervisor.alive else None


def write(folder: Path, run: Run) -> None:
    """Write the note of *run* into *folder*, atomically and readable only by this user: a URI may hold a password."""
    note = folder / _NOTE
    part = note.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(run._asdict()))
    part.replace(note)


def forget(folder: Path) -> None:
    """Delete the note of *folder*, if present."""
    (folder / _NOTE).unlink(missing_ok=True)
