"""Granian's server with reports on standard error: when callers get answers, when a stop begins, and at the end."""

from __future__ import annotations

import http.client
import os
import threading
from time import sleep
from typing import Any

from granian.server.mp import MPServer

#: The address with which this machine reaches a server that listens on every address.
_EVERYWHERE, _HERE = "0.0.0.0", "127.0.0.1"  # noqa: S104 # compared, not listened on
_LOOK_EVERY_SECONDS = 0.05
#: A worker that accepts connections answers within this time, or the next look asks again.
_ANSWER_SECONDS = 10


class AnnouncingServer(MPServer):
    """Serves *stage* and reports. A stop lets requests in progress end, for *stop_seconds* at most."""

    def __init__(self, stage: str, stop_seconds: int, **options: Any) -> None:
        super().__init__(**options)
        self._stage = stage
        self._stop_seconds = stop_seconds
        self._url = f"http://{options['address']}:{options['port']}"
        self.on_startup(self._begin)
        self.on_shutdown(lambda: say("Stopped."))

    def signal_handler_interrupt(self, *received: Any, **more: Any) -> None:
        """Report that the stop has begun, and stop."""
        if not self.interrupt_signal:
            say(f"Stopping. Requests in progress may take up to {self._stop_seconds} s.")
        super().signal_handler_interrupt(*received, **more)  # type: ignore[no-untyped-call]

    def _begin(self) -> None:
        processes = "1 process" if self.workers == 1 else f"{self.workers} processes"
        say(f"Starting {processes} for {self._stage} at {self._url}.")
        threading.Thread(target=self._announce, name="announce", daemon=True).start()

    def _announce(self) -> None:
        host = _HERE if self.bind_addr == _EVERYWHERE else self.bind_addr
        while not answers(host, self.bind_port):
            sleep(_LOOK_EVERY_SECONDS)
        if not self.interrupt_signal:
            say(f"{self._stage} answers at {self._url}. Ctrl-C stops the server.")


def answers(host: str, port: int) -> bool:
    """Whether a server answers a request, whatever the status."""
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/health")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def say(line: str) -> None:
    """Write *line* to standard error at once. Safe inside a signal handler, where `print` is not."""
    os.write(2, f"{line}\n".encode())
