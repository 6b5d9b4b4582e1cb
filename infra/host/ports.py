"""TCP ports on 127.0.0.1: free ones, remembered ones, and who holds a taken one."""

from __future__ import annotations

import errno
import socket
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"


class PortTaken(Exception):
    """Another process listens there; the text says which, where that can be known."""

    def __init__(self, port: int) -> None:
        super().__init__(f"Port {port} is taken{holder(port)}.")
        self.port = port


def bound(port: int, host: str = HOST) -> socket.socket:
    """Return a socket bound to *port* (0: any free one) of *host* that does not listen yet.

    Raises:
        PortTaken: somebody else has it.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Without this a port stays blocked for a minute after its last connection.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise PortTaken(port) from None
    return listener


def free(port: int = 0) -> int:
    """Return *port* if nobody has it, else some free one."""
    try:
        listener = bound(port)
    except PortTaken:
        listener = bound(0)
    with closing(listener):
        return int(listener.getsockname()[1])


def remembered(note: Path) -> int:
    """Return the port that *note* names if it is free, else a free one, and note it.

    What is stored under a port (replica set members, queue URLs) stays valid from one start to the next.
    """
    try:
        port = free(int(note.read_text()))
    except (OSError, ValueError):
        port = free()
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(str(port))
    return port


def listening(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        return probe.connect_ex((HOST, port)) == 0


def holder(port: int) -> str:
    """Return `` by NAME (process PID)`` for a taken port, or nothing where that is unknown: no psutil, or no right."""
    try:
        # A container has no psutil; the port is taken all the same.
        import psutil  # noqa: PLC0415
    except ModuleNotFoundError:
        return ""
    try:
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port and found.pid:
                return f" by {psutil.Process(found.pid).name()} (process {found.pid})"
    except psutil.Error:
        pass
    return ""
