"""The stack's clock: this machine's clock and an offset, which a file in the data folder holds.

The offset only grows: MongoDB's cluster time and stored moments would contradict a step back. Without the file, the
stack runs at real time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from infra.local.lab.moment import duration
from infra.operations.failures import CommandFailed

if TYPE_CHECKING:
    from pathlib import Path

#: The subfolder of a data folder that belongs to the lab.
PART = "lab"


class ClockAhead(CommandFailed):
    """A stack at real time was asked for on a data folder whose clock is ahead."""


class Backwards(CommandFailed):
    """A step back was asked for."""


class Clock:
    """The clock of the stack on the data folder *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / PART / "offset"

    @property
    def offset_seconds(self) -> float:
        """How far the stack's clock is ahead of this machine's."""
        try:
            return float(self.file.read_text())
        except FileNotFoundError:
            return 0.0

    def now(self) -> datetime:
        """Return the stack's time."""
        return datetime.fromtimestamp(time.time() + self.offset_seconds, UTC)

    def make(self) -> None:
        """Make the file, with the offset 0. An existing file stays."""
        if not self.file.exists():
            self._write(0)

    def advance(self, offset_seconds: float) -> None:
        """Write the offset, atomically. Processes take it over when they read the file next.

        Raises:
            Backwards: the offset is smaller than the present one.
        """
        if offset_seconds < self.offset_seconds:
            raise Backwards("Time only goes forward: stored moments would contradict a step back.")
        self._write(offset_seconds)

    def refuse_ahead(self) -> None:
        """Return if the clock shows real time.

        Raises:
            ClockAhead: the stored moments of the folder lie in the future.
        """
        if offset := self.offset_seconds:
            raise ClockAhead(
                f"The clock of {self.folder} is {duration(offset)} ahead, and time only goes forward. Add --lab to go "
                "on with that clock, or --fresh to delete the data, or choose another folder with --data."
            )

    def _write(self, offset_seconds: float) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_suffix(".part")
        part.write_text(f"+{offset_seconds:.3f}\n")
        part.replace(self.file)
