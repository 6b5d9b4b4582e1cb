"""TCP ports on 127.0.0.1: finds and remembers free ports, and names the process that holds a taken port."""

from __future__ import annotations

import errno
import socket
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
#: The port of ``scripts/serve``, unless another is chosen.
SERVE = 8080


class PortTaken(Exception):
    """Another process has the port. The text names the process if known."""

    def __init__(self, port: int) -> None:
        super().__init__(f"Port {port} is taken{holder(port)}.")
        self.port = port


def bound(port: int, host: str = HOST) -> socket.socket:
    """Return a socket bound to *port* (0: any free port) of *host*. The socket does not listen yet.

    Raises:
        PortTaken: another process has the port.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Without SO_REUSEADDR a port stays blocked for a minute after its last connection.
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
    """Return *port* if free, else any free port. Nothing reserves the returned port."""
    try:
        listener = bound(port)
    except PortTaken:
        listener = bound(0)
    with closing(listener):
        return int(listener.getsockname()[1])


def remembered(note: Path) -> int:
    """Return the port written in *note* if free, else any free port; write the returned port to *note*.

    Stored addresses (replica set members, queue URLs) thus stay valid from one start to the next.
    """
    try:
        port = free(int(note.read_text()))
    except (OSError, ValueError):
        port = free()
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(str(port))
    return port


def listening(port: int) -> bool:
    """Whether a process accepts connections on *port*."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        return probe.connect_ex((HOST, port)) == 0


def holder(port: int) -> str:
    """Return `` by NAME (process PID)`` for a taken port, or an empty text if unknown (no psutil, or no permission)."""
    try:
        # A container has no psutil.
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
