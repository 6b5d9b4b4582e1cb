"""Starts a server process. A separate module, because a spawned process cannot import ``__main__``."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from infra.host import die_with_parent
from infra.server import wsgi

if TYPE_CHECKING:
    from infra.server.wsgi import Places, Server


def begin(places: Places, parent: int) -> Server:
    """Return the WSGI application of this process.

    The process gets SIGTERM when *parent* dies, however the parent dies, and exits at once if *parent* is dead already.
    """
    # A process group of its own: a terminal's Ctrl-C then reaches only the parent, and the parent ends its workers.
    # A worker that gets both signals at once may hang in granian.
    os.setpgid(0, 0)
    if not die_with_parent.set_parent_death_signal(signal.SIGTERM, parent):
        sys.exit(1)
    return wsgi.load(places)
