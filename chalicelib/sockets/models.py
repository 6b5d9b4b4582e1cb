"""Connections as stored (no I/O)."""

from typing import NamedTuple

from chalicelib.core.web.roles import Caller

#: The largest frame that a client may send. API Gateway closes a connection that sends a frame over 32 KB.
LARGEST_FRAME_BYTES = 30_000
#: The largest event. API Gateway takes 128 KB for a connection.
LARGEST_EVENT_BYTES = 120_000

#: API Gateway ends each connection after two hours, and a connection without traffic after ten minutes.
LONGEST_MS, IDLE_MS = 2 * 3_600_000, 10 * 60_000
#: The time between the announcement of a planned reconnect and the end of the connection.
ANNOUNCED_MS = 600_000


class Held(NamedTuple):
    """A connection as stored. *opened* says whether pushes may reach the connection."""

    connection_id: str
    caller: Caller
    opened: bool
