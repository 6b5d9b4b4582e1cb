"""``scripts/serve``: the API behind a long-lived HTTP server, in as many processes as there are cores."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from chalicelib import settings
from infra import console, server
from infra.local import ports, tether

if TYPE_CHECKING:
    from infra.server import Server

DESCRIPTION = """\
Serves the API from processes that stay, for containers and for load: the application that the functions run, asked with
the events that the gateway sends. Only requests come in by this door; queues, streams and schedules stay with the
functions of the deployed stack, whose stores these processes share.

Each process prints its log to standard output, a line of JSON for each request. One that dies is replaced.
"""
EPILOG = """\
examples:
  scripts/serve                                   beside the stack that runs here
  scripts/serve --stage prod --host 0.0.0.0       in a container; TLS is for the load balancer before it

exit code: 0 if it was told to stop.
"""
#: Longer than any request takes.
_STOP_SECONDS = 30
#: A silent connection is closed after this: later than a load balancer of AWS does, after 60 s by default.
_IDLE_SECONDS = 75
#: As many as a process may have open; more than a process has files for.
_CONNECTIONS = 65_536


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="scripts/serve",
        description=DESCRIPTION,
        epilog=EPILOG + console.STACKS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[console.stack_options()],
    )
    add = partial(parser.add_argument, metavar="N", type=_positive)
    parser.add_argument("--host", default=ports.HOST, help="where to listen (%(default)s: for this machine alone)")
    add("--port", default=8080, help="(%(default)s)")
    add("--processes", default=_cores(), help="(%(default)s, as many as cores)")
    add("--threads", default=8, help="requests that each process has at work at once (%(default)s)")
    add("--held", default=32, help="requests beside these that each lets wait for an answer (%(default)s)")
    return parser.parse_args(arguments)


def begin(held: int, parent: int) -> Server:
    """Return what a process answers with. It ends when its *parent* does, however that ends."""
    if not tether.tie(signal.SIGTERM, parent):
        sys.exit(1)
    return server.load(held)


def main(arguments: list[str]) -> None:
    """Serve until told to stop; exit with a sentence where that cannot be."""
    asked = parsed(arguments)
    with console.reporting("serve"):
        target = console.target_of(asked, os.environ)
        threads = asked.threads + asked.held
        # In a function one request is at work; here each thread wants a connection.
        console.act_as(target, **_unless_set(MONGODB_MAX_POOL_SIZE=threads, AWS_CLIENT_MAX_CONNECTIONS=threads))
        settings.load()
    try:
        ports.bound(asked.port, asked.host).close()
    except ports.PortTaken as taken:
        sys.exit(f"{taken} Choose another one with --port.")
    # A fork would be the same instance as the others, with the same random numbers.
    multiprocessing.set_start_method("spawn")
    where = f"http://{asked.host}:{asked.port}"
    print(f"{target.stage} at {where}, {asked.processes} processes; Ctrl-C ends it", file=sys.stderr)
    _granian(asked, threads).serve(target_loader=partial(begin, asked.held, os.getpid()), wrap_loader=False)


def _granian(asked: argparse.Namespace, threads: int) -> MPServer:
    return MPServer(
        "infra.server",
        address=asked.host,
        port=asked.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=asked.processes,
        blocking_threads=threads,
        http1_settings=HTTP1Settings(header_read_timeout=_IDLE_SECONDS * 1000),
        # It counts connections, idle ones too, and lets those beyond wait unheard.
        backpressure=_CONNECTIONS,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
        # Below that it only advises.
        log_level=LogLevels.error,
    )


def _cores() -> int:
    """Return how many cores this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _unless_set(**options: object) -> dict[str, str]:
    return {name: os.environ.get(name, str(value)) for name, value in options.items()}


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError("must be a whole number above 0")
    return int(text)


if __name__ == "__main__":
    main(sys.argv[1:])
