"""One process of the server. A module of its own: a spawned process imports it, and cannot import ``__main__``."""

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
    """Return what a process answers with. It ends when its *parent* does, however that ends."""
    # A terminal's Ctrl-C is for the parent, which tells us; of two signals at once granian may never return.
    os.setpgid(0, 0)
    if not die_with_parent.tie(signal.SIGTERM, parent):
        sys.exit(1)
    return wsgi.load(places)
