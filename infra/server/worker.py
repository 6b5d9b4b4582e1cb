"""One process of the server. A spawned process imports this module, as it cannot import ``__main__``."""

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
    """Return the WSGI application of this process, which ends when its *parent* does, however that ends."""
    # A terminal's Ctrl-C goes to the parent alone, which ends its workers: after two signals at once granian may hang.
    os.setpgid(0, 0)
    if not die_with_parent.set_parent_death_signal(signal.SIGTERM, parent):
        sys.exit(1)
    return wsgi.load(places)
