"""``scripts/serve``: the API behind a long-lived HTTP server, in as many processes as there are cores."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
from functools import partial
from ipaddress import IPv4Address

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from chalicelib import slices  # noqa: F401 # makes every class of options known
from chalicelib.core.runtime import settings
from infra.host import ports
from infra.operations.target import STACKS, act_as, reporting, stack_options, target_of
from infra.server.worker import begin
from infra.server.wsgi import Places

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

exit code: 0 if it was told to stop; 1 if it could not start, or if a process died again as soon as it was replaced.
"""
#: Longer than any request takes.
_STOP_SECONDS = 30
#: A silent connection is closed after this: later than a load balancer of AWS does, after 60 s by default.
_IDLE_SECONDS = 75
_HIGHEST_PORT = 65_535
#: As many files as a process uses at most; each connection is one.
_FILES = 65_536
#: Beside connections: what a process has open anyway, and for each thread one to each store, twice over.
_FILES_OF_OURS, _FILES_OF_A_THREAD = 128, 6


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="scripts/serve",
        description=DESCRIPTION,
        epilog=EPILOG + STACKS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[stack_options()],
    )
    add = partial(parser.add_argument, metavar="N")
    parser.add_argument(
        "--host", type=IPv4Address, default=IPv4Address(ports.HOST), help="where to listen (%(default)s: this machine)"
    )
    add("--port", type=_port, default=8080, help="(%(default)s)")
    add("--processes", type=_positive, default=_cores(), help="(%(default)s, as many as cores)")
    add("--threads", type=_positive, default=8, help="requests that each process has at work at once (%(default)s)")
    add("--held", type=_positive, default=32, help="beside these, requests to routes that may wait (%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Serve until told to stop; exit with a sentence where that cannot be."""
    asked = parsed(arguments)
    threads = asked.threads + asked.held
    with reporting("serve"):
        target = target_of(asked, os.environ)
        # In a function one request is at work; here each thread wants a connection.
        act_as(target, **_unless_set(MONGODB_MAX_POOL_SIZE=threads, AWS_CLIENT_MAX_CONNECTIONS=threads))
        settings.load(settings.HoldfastSettings)
    try:
        ports.bound(asked.port, str(asked.host)).close()
    except ports.PortTaken as taken:
        sys.exit(f"{taken} Choose another one with --port.")
    except OSError as error:
        sys.exit(f"serve cannot listen on {asked.host}:{asked.port}: {error.strerror}.")
    # A fork would be the same instance as the others, with the same random numbers.
    multiprocessing.set_start_method("spawn")
    where = f"http://{asked.host}:{asked.port}"
    print(f"{target.stage} at {where}, {asked.processes} processes; Ctrl-C ends it", file=sys.stderr)
    places = Places(asked.threads, asked.held)
    _granian(asked, threads).serve(target_loader=partial(begin, places, os.getpid()), wrap_loader=False)


def _granian(asked: argparse.Namespace, threads: int) -> MPServer:
    return MPServer(
        "infra.server.wsgi",
        address=str(asked.host),
        port=asked.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=asked.processes,
        blocking_threads=threads,
        http1_settings=HTTP1Settings(header_read_timeout=_IDLE_SECONDS * 1000),
        # It counts connections, idle ones too. With no file left it would try again without a pause.
        backpressure=max(1, _files() - _FILES_OF_OURS - _FILES_OF_A_THREAD * threads),
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
        # Below that it only advises.
        log_level=LogLevels.error,
    )


def _cores() -> int:
    """Return how many cores this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _files() -> int:
    """Return how many files a process may have open. Granian has raised that as far as the system lets it."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _FILES if soft == resource.RLIM_INFINITY else min(_FILES, soft)


def _unless_set(**options: object) -> dict[str, str]:
    return {name: os.environ.get(name, str(value)) for name, value in options.items()}


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError("must be a whole number above 0")
    return int(text)


def _port(text: str) -> int:
    if (port := _positive(text)) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"must be 1 to {_HIGHEST_PORT}")
    return port


if __name__ == "__main__":
    main(sys.argv[1:])
