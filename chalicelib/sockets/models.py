"""Connections as stored (no I/O)."""

from typing import NamedTuple

from chalicelib.core.web.frames import Connection
from chalicelib.core.web.roles import Caller

#: The largest frame that a client may send, and the largest event. API Gateway closes connections over 32 KB a frame.
LARGEST_FRAME_BYTES = 30_000

#: API Gateway ends each connection after two hours, and a connection without traffic after ten minutes.
LONGEST_MS, IDLE_MS = 2 * 3_600_000, 10 * 60_000
#: The time between the announcement of a planned reconnect and the end of the connection.
ANNOUNCED_MS = 600_000


class Held(NamedTuple):
    """A connection as stored. *opened* says whether pushes may reach the connection."""

    connection_id: str
    caller: Caller
    opened: bool

    @property
    def connection(self) -> Connection:
        """The connection, for handlers of frames."""
        return Connection(self.connection_id, self.caller)
