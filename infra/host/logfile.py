"""Log files that their owner alone can read: a log may quote a request, and so a token."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

_OWNER_ALONE = 0o600


def opened(file: Path) -> BinaryIO:
    """Return *file*, emptied and open for writing, with its folder made. Nobody but the owner may read or write it.

    An older file that others may read is closed to them before the first byte is written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    log = open(file, "wb", opener=lambda path, flags: os.open(path, flags, _OWNER_ALONE))  # noqa: SIM115 # returned open
    os.fchmod(log.fileno(), _OWNER_ALONE)
    return log
