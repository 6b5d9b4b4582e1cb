"""The receiver of callbacks as a child process: shows on a laptop what Holdfast sends, and answers as told."""

from __future__ import annotations

import errno
import http.client
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from infra.host import ports
from infra.local.processes.child import Child

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

MAIN = Path(__file__).with_name("receiver_main.py")
#: Connections that wait to be accepted.
BACKLOG = 64
LAST_PORT = 65_535


class Receiver:
    """A receiver with its note and log in *folder*. The folder keeps its port unless another process takes the port.

    The process gets *variables* beside its own.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self._variables = dict(variables or {})
        self.folder = folder
        self.child = Child("the receiver of callbacks", folder / "receiver.log")
        self.port = 0

    @property
    def url(self) -> str:
        """The URL for callbacks and for readers, without a trailing slash."""
        return f"http://{ports.HOST}:{self.port}"

    def start(self, preferred: int = 0) -> None:
        """Start the receiver; return when it answers. A folder without a port takes *preferred* if free, else any port.

        Raises:
            ChildFailed: the receiver did not start; the text holds the end of the log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._listener(preferred) as listener:
            self.port = int(listener.getsockname()[1])
            (self.folder / "port").write_text(str(self.port))
            command: list[str | Path] = [sys.executable, "-I", "-S", MAIN, str(listener.fileno())]
            environment = {"PATH": os.defpath, "LANG": "C.UTF-8", **self._variables}
            self.child.spawn(command, environment, pass_fds=[listener.fileno()])
        self.child.until(lambda: answers(self.port), deadline_seconds=30)

    def stop(self) -> None:
        """End the receiver. The calls that came are forgotten."""
        self.child.terminate(deadline_seconds=5)

    def _listener(self, preferred: int) -> socket.socket:
        """Return a listening socket: two stacks that start at the same time would both find the same port free."""
        remembered = 0
        with suppress(OSError, ValueError):
            remembered = int((self.folder / "port").read_text())
        for port in filter(None, (remembered, preferred)):
            with suppress(ports.PortTaken):
                return listening(port)
        return listening(0)


def listening(port: int) -> socket.socket:
    """Return a socket that listens on *port* (0: any free port).

    Raises:
        PortTaken: another process has the port, or no receiver may have it.
    """
    # Callbacks may not reach the usual port of scripts/serve, whether or not a process listens there.
    if port == ports.SERVE or port > LAST_PORT:
        raise ports.PortTaken(port)
    listener = ports.bound(port)
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise ports.PortTaken(port) from None
    return listener


def answers(port: int) -> bool:
    """Whether the receiver on *port* answers."""
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=5)
    try:
        connection.request("GET", "/received")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
