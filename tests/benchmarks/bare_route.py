"""A route that does nothing, behind the HTTP server of ``scripts/serve``: the most that a route can answer here.

``python -m tests.benchmarks.bare_route PORT PROCESSES THREADS`` serves until a stop signal.
"""

import sys
from typing import TYPE_CHECKING

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_BODY = b'{"status":"ok"}'


def app(_environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
    """Answer 200 with a short body."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))])
    return [_BODY]


if __name__ == "__main__":
    port, processes, threads = map(int, sys.argv[1:])
    MPServer(
        "tests.benchmarks.bare_route:app",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=processes,
        blocking_threads=threads,
        log_level=LogLevels.error,
    ).serve()
