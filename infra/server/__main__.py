"""``scripts/serve``: the API behind a long-running HTTP server, by default with a process for each core."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
from functools import partial
from ipaddress import IPv4Address
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from chalicelib import slices  # noqa: F401 # registers every settings class
from chalicelib.core.runtime import settings
from infra.host import ports
from infra.operations.failures import CommandFailed, reporting
from infra.operations.target import act_as, parser_of, target_of
from infra.server.announce import AnnouncingServer
from infra.server.worker import begin
from infra.server.wsgi import Places

DESCRIPTION = """\
Serves the API from long-running processes, for containers and for load. The processes run the same application as the
functions, and call it with the events that the gateway sends. Only HTTP requests enter here. Queues, streams and
schedules are served by the functions of the deployed stack; server and functions share the stores.

Each process prints its log to standard output: a JSON line for each request. A process that dies is replaced.
"""
EPILOG = """\
examples:
  scripts/serve                                   on the stores of the stack that runs on this machine
  scripts/serve --stage prod --host 0.0.0.0       in a container, behind a load balancer that ends TLS

exit code: 0 if stopped by a signal; 1 if the start failed, or if a replaced process died again at once.
"""
#: Longer than any request takes.
_STOP_SECONDS = 30
#: An idle connection is closed after this time: later than by an AWS load balancer (60 s by default).
_IDLE_SECONDS = 75
_HIGHEST_PORT = 65_535
#: The most files that a process may have open; each connection takes one.
_MOST_FILES = 65_536
#: Files kept free of callers' connections: for the process itself, and for each thread two to each of the stores.
_PROCESS_FILES, _THREAD_FILES = 128, 6


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = parser_of("scripts/serve", DESCRIPTION, EPILOG)
    add = partial(parser.add_argument, metavar="N")
    parser.add_argument(
        "--host",
        type=IPv4Address,
        default=IPv4Address(ports.HOST),
        help="address to listen on (%(default)s: this machine only)",
    )
    add("--port", type=_port, default=ports.SERVE, help="port to listen on (%(default)s)")
    add("--processes", type=_positive, default=_cores(), help="number of processes (%(default)s, as many as cores)")
    add("--threads", type=_positive, default=8, help="concurrent requests of each process (%(default)s)")
    add(
        "--held",
        type=_positive,
        default=32,
        help="additional concurrent requests that wait (%(default)s)",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Serve until a stop signal. If serving cannot start, exit with a sentence that says why."""
    asked = parsed(arguments)
    with reporting("serve"):
        serve(asked)


def serve(asked: argparse.Namespace) -> None:
    """Serve as *asked* until a stop signal; report on standard error when callers get answers, and at the end.

    Raises:
        CommandFailed: there is no stack to serve, or the port cannot be listened on.
    """
    threads = asked.threads + asked.held
    target = target_of(asked, os.environ)
    # The defaults fit a function, which serves one request at a time. Here each thread needs a connection.
    act_as(target, **_unless_set(MONGODB_MAX_POOL_SIZE=threads, AWS_CLIENT_MAX_CONNECTIONS=threads))
    refused = settings.load(settings.EgressSettings).refused_ports | {asked.port}
    os.environ[settings.option(settings.EgressSettings, "refused_ports")] = json.dumps(sorted(refused))
    settings.load(settings.HoldfastSettings)
    _check_port(asked)
    # Spawn, because forked processes would share an instance id and the state of the random numbers.
    multiprocessing.set_start_method("spawn")
    server = AnnouncingServer(target.stage, _STOP_SECONDS, **_options(asked, threads))
    places = Places(asked.threads, asked.held)
    server.serve(target_loader=partial(begin, places, os.getpid()), wrap_loader=False)


def _check_port(asked: argparse.Namespace) -> None:
    try:
        ports.bound(asked.port, str(asked.host)).close()
    except ports.PortTaken as taken:
        raise CommandFailed(f"{taken} Choose another one with --port.") from None
    except OSError as error:
        raise CommandFailed(f"serve cannot listen on {asked.host}:{asked.port}: {error.strerror}.") from error


def _options(asked: argparse.Namespace, threads: int) -> dict[str, Any]:
    """Return granian's options."""
    return {
        "target": "infra.server.wsgi",
        "address": str(asked.host),
        "port": asked.port,
        "interface": Interfaces.WSGI,
        "http": HTTPModes.http1,
        "websockets": False,
        "workers": asked.processes,
        "blocking_threads": threads,
        "http1_settings": HTTP1Settings(header_read_timeout=_IDLE_SECONDS * 1000),
        # Granian counts connections here, idle connections included. Without a free file descriptor granian would
        # retry accepting without a pause.
        "backpressure": max(1, _file_limit() - _PROCESS_FILES - _THREAD_FILES * threads),
        "respawn_failed_workers": True,
        "workers_kill_timeout": _STOP_SECONDS,
        # Lower levels hold only advice.
        "log_level": LogLevels.error,
    }


def _cores() -> int:
    """Return the number of cores that this process may use, or of all cores if the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _file_limit() -> int:
    """Return the number of files a process may have open. Granian has raised the limit as far as the system allows."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_FILES if soft == resource.RLIM_INFINITY else min(_MOST_FILES, soft)


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
