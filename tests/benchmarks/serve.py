"""Answers per second of ``scripts/serve`` at 32 callers, beside a bare route of the same HTTP server in the same run.

With ``--beside FOLDER`` also beside the ``scripts/serve`` of another checkout, on the same stores. The servers take
turns, so that all meet the same machine; the table has the median of the rounds. "CPU ms" is the processor time of the
server's processes for one answer, which other work on the machine hardly changes.

At the end 1,000 users read 10 lists each, as the load test of the original of this project did with artillery. Here the
client is one Python process, over a connection for each user. The client shares the cores with servers and stores.
"""

import itertools
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from infra.environment import ROOT
from infra.host import ports
from infra.local.stack import Stack
from tests.benchmarks import cores
from tests.benchmarks.closed_loop import Answers, drive, request
from tests.benchmarks.load import tokens
from tests.benchmarks.report import CONSOLE, show
from tests.benchmarks.seed import Seed, application_id
from tests.support.server import ServeProcess
from tests.support.waiting import eventually

_CALLERS, _THREADS = 32, 8
_HEALTH, _LIST, _READ = "/health", "list of 50", "single read"
_LIST_PATH = "/api/applications?limit=50"
_OURS, _BARE = "this commit", "bare route"
#: Connections of the load test and some files of the process itself.
_FILES = 2_000


class Scale(NamedTuple):
    """The size of a run; *users* read *lists* lists each in the load test."""

    applications: int
    rounds: int
    seconds: float
    users: int
    lists: int


_SMOKE, _FULL = Scale(200, 1, 0.5, 20, 2), Scale(1_000, 5, 4, 1_000, 10)


class Server(NamedTuple):
    """A server under load, and its processes."""

    name: str
    port: int
    processes: Sequence[psutil.Process]

    def cpu_seconds(self) -> float:
        """Return the processor time of all processes of the server."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes)


class Round(NamedTuple):
    """The figures of one round."""

    per_second: float
    cpu_ms: float


def run(*, smoke: bool, beside: Path | None = None) -> None:
    """Measure each server in turn; exit with 1 after an answer other than 200."""
    scale = _SMOKE if smoke else _FULL
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(_FILES, hard)), hard))
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack, ExitStack() as opened:
        Seed(stack).grow(scale.applications)
        known = tokens(stack, max(scale.users, _CALLERS))
        checkouts = {_OURS: ROOT, **({beside.name: beside.resolve()} if beside else {})}
        servers = [opened.enter_context(_served(name, root, stack, Path(folder))) for name, root in checkouts.items()]
        servers.append(opened.enter_context(_bare_route()))
        figures = _measure(servers, known, scale)
        show(f"{_CALLERS} callers, {len(cores.usable())} cores, median of {scale.rounds} rounds", _COLUMNS, figures)
        _load_test(servers, known, scale)


_COLUMNS = ("what", "server", "answers/s", "ratio to bare route", f"ratio of {_OURS}", "CPU ms", "ratio of CPU")


def _measure(servers: Sequence[Server], known: Sequence[str], scale: Scale) -> list[list[str]]:
    rows = []
    for what in (_HEALTH, _LIST, _READ):
        answering = [server for server in servers if what == _HEALTH or server.name != _BARE]
        rounds: dict[str, list[Round]] = {server.name: [] for server in servers}
        for number in range(-1, scale.rounds):
            for server in answering:
                done = _round(server, what, known, scale)
                # The first round warms the servers up.
                if number >= 0:
                    rounds[server.name].append(done)
        middle = {
            name: Round(*(statistics.median(values) for values in zip(*done, strict=True)))
            for name, done in rounds.items()
            if done
        }
        rows += [_row(what, name, middle) for name in middle]
    return rows


def _row(what: str, name: str, middle: dict[str, Round]) -> list[str]:
    own, ours, bare = middle[name], middle[_OURS], middle.get(_BARE)
    return [
        what,
        name,
        f"{own.per_second:,.0f}",
        f"{own.per_second / bare.per_second:.2f}" if bare else "",
        f"{ours.per_second / own.per_second:.2f}",
        f"{own.cpu_ms:.2f}",
        f"{own.cpu_ms / ours.cpu_ms:.2f}" if ours.cpu_ms else "",
    ]


def _round(server: Server, what: str, known: Sequence[str], scale: Scale) -> Round:
    before = server.cpu_seconds()
    callers = [_requests(what, token, number, scale) for number, token in enumerate(known[:_CALLERS])]
    answers = _checked(drive(server.port, callers, scale.seconds))
    return Round(answers.per_second, (server.cpu_seconds() - before) * 1000 / answers.statuses.total())


def _requests(what: str, token: str, number: int, scale: Scale) -> Iterator[bytes]:
    if what == _HEALTH:
        return itertools.repeat(request("/health"))
    if what == _LIST:
        return itertools.repeat(request(_LIST_PATH, token))
    ids = (application_id((number * 7 + step) % scale.applications) for step in itertools.count())
    return (request(f"/api/applications/{one}", token) for one in ids)


def _load_test(servers: Sequence[Server], known: Sequence[str], scale: Scale) -> None:
    """Have all users read their lists at the same time; print the answers and the rate of each server."""
    for server in servers:
        if server.name == _BARE:
            continue
        one = [itertools.repeat(request(_LIST_PATH, token), scale.lists) for token in known[: scale.users]]
        answers = drive(server.port, one)
        CONSOLE.print(
            f"{server.name}: {scale.users:,} users x {scale.lists} lists, {answers.statuses[200]:,} of "
            f"{scale.users * scale.lists:,} answers at {answers.per_second:,.0f} a second"
        )
        _checked(answers)


def _checked(answers: Answers) -> Answers:
    if set(answers.statuses) != {200}:
        sys.exit(f"some answers were not 200: {dict(answers.statuses)}")
    return answers


@contextmanager
def _served(name: str, root: Path, stack: Stack, folder: Path) -> Iterator[Server]:
    log = folder / name.replace(" ", "-")
    log.mkdir()
    with ServeProcess(stack, log, processes=len(cores.usable()), root=root, threads=_THREADS) as served:
        yield Server(name, served.port, served.workers())


@contextmanager
def _bare_route() -> Iterator[Server]:
    port, processes = ports.free(), len(cores.usable())
    command = [sys.executable, "-m", "tests.benchmarks.bare_route", *map(str, (port, processes, _THREADS))]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            eventually(lambda: ports.listening(port))
            yield Server(_BARE, port, psutil.Process(process.pid).children())
        finally:
            process.terminate()
