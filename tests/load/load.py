"""What a thousand administrators get: four reads to one change, at a rate that does not heed the answers.

Through functions past the front, by as many callers as this machine has functions for; and through ``scripts/serve`` by
all. The same callers ask /health at the same rate, which asks no store.

Callers, API, database and the emulated AWS share this machine. For ``serve`` it is parted: half of the cores are the
API's, the other half have all the rest, and how each was spent is shown beside the times.
"""

import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from pymongo import MongoClient

from chalicelib.applications.search import KIND
from chalicelib.http import Role
from chalicelib.records.models import key
from chalicelib.sessions.store import SessionStore
from chalicelib.settings import SessionSettings
from infra.local.mongod import DATABASE
from infra.local.stack import Stack
from tests.load.crowd import Call, Caller, Plan, follow
from tests.load.figures import CONSOLE, percentile, show
from tests.load.seed import Seed, application_id
from tests.served import Served

#: A change takes two calls; all other turns take one, and one in four is a change.
_CALLS_PER_TURN = 1.25
_MIX, _HEALTH = "4 reads, 1 change", "/health"
_SERVE = "serve"
#: Of a core, what is not worth a word.
_NOTHING = 0.01


class Door(NamedTuple):
    """A way in, how many come by it, and how many calls a second they make together."""

    name: str
    callers: int
    rates: Sequence[int]


class Scale(NamedTuple):
    """How much is measured."""

    applications: int
    seconds: float
    warming_seconds: float
    doors: Sequence[Door]


_SMOKE = Scale(200, 1.5, 0.5, [Door("functions", 4, [10]), Door(_SERVE, 20, [40])])
_FULL = Scale(10_000, 20, 5, [Door("functions", 32, [50, 100]), Door(_SERVE, 1_000, [100, 250, 400, 500, 600, 750])])


def run(*, smoke: bool) -> None:
    """Measure each rate at each door; exit with 1 where a change that was answered is not there."""
    scale, rows, changed = _SMOKE if smoke else _FULL, [], Counter[str]()
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        grown = Seed(stack)
        grown.grow(scale.applications)
        ids = [application_id(number) for number in range(scale.applications)]
        tokens = _tokens(stack, max(door.callers for door in scale.doors))
        for door in scale.doors:
            with _opened(door, stack, Path(folder)) as url:
                for rate in door.rates:
                    callers = [Caller(url, token, ids, n) for n, token in enumerate(tokens[: door.callers])]
                    rows += _rows(door, callers, rate, scale)
                    changed.update(one for caller in callers for one in caller.changed)
        versions = sum(item["version"] - 1 for item in grown.table.batch([key(KIND.name, one) for one in changed]))
    show(
        f"{scale.applications:,} applications, {os.cpu_count()} cores; a call's time counts from its due",
        _COLUMNS,
        rows,
    )
    CONSOLE.print(f"{changed.total():,} changes were answered, {versions:,} versions are there")
    # One whose answer was lost may be there all the same.
    if versions < changed.total():
        sys.exit(1)


_COLUMNS = (
    *(
        "door",
        "callers",
        "what",
        "calls/s due",
        "answered/s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "p50 ratio",
        "409",
        "errors",
    ),
    "cores at work",
)


def _rows(door: Door, callers: Sequence[Caller], rate: int, scale: Scale) -> list[list[str]]:
    """Measure one rate: /health first, then the mix."""
    rows, base = [], 0.0
    for what, turn, turns in ((_HEALTH, Caller.health, rate), (_MIX, Caller.work, rate / _CALLS_PER_TURN)):
        CONSOLE.log(f"{door.name}, {len(callers):,} callers, {what}: {rate} calls a second")
        for caller in callers:
            caller.calls = []
        spent, began = Spent(), time.perf_counter()
        calls = follow(Plan(turn, turns, scale.seconds, scale.warming_seconds), callers)
        cores = spent.since(time.perf_counter() - began)
        base = base or percentile([call.ms for call in calls], 50)
        rows.append([door.name, f"{len(callers):,}", what, str(rate), *_figures(calls, base), cores])
    return rows


def _figures(calls: Sequence[Call], base: float) -> list[str]:
    times = [call.ms for call in calls]
    ended = [call.due + call.ms / 1000 for call in calls]
    p50 = percentile(times, 50)
    statuses = Counter(call.status for call in calls)
    errors = ", ".join(f"{many} x {status or 'none'}" for status, many in statuses.items() if status not in {200, 409})
    return [
        f"{len(calls) / (max(ended) - min(call.due for call in calls)):.0f}",
        *(f"{value:.0f}" for value in (p50, percentile(times, 95), percentile(times, 99))),
        f"{p50 / base:.1f}",
        str(statuses[409]),
        errors or "0",
    ]


def _tokens(stack: Stack, count: int) -> list[str]:
    """Return the tokens of so many sessions of administrators."""
    with MongoClient[dict[str, Any]](stack.mongodb_uri, tz_aware=True) as client:
        sessions = SessionStore(client[DATABASE].sessions, SessionSettings())
        return [sessions.open(f"admin-{number}", [Role.ADMIN], "bench").token for number in range(count)]


@contextmanager
def _opened(door: Door, stack: Stack, folder: Path) -> Iterator[str]:
    if door.name != _SERVE:
        yield stack.api_url
        return
    cores = sorted(_cores())
    half = max(1, len(cores) // 2)
    with Served(stack, folder, processes=half) as served:
        # On one core both halves are the same.
        _keep(served.workers(), cores[:half])
        _keep([process for process in _all() if process not in served.workers()], cores[-half:])
        yield served.url
        _keep(_all(), cores)


def _cores() -> Collection[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def _keep(processes: Sequence[psutil.Process], cores: Sequence[int]) -> None:
    """Have every thread of *processes*, and whatever they start, run on *cores*; where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        return
    for process in processes:
        with suppress(psutil.Error, ProcessLookupError):
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores)


def _all() -> list[psutil.Process]:
    """Return everything that takes part: this process, and all it has started."""
    ours = psutil.Process()
    return [ours, *ours.children(recursive=True)]


class Spent:
    """Processor time of everything that takes part, since this was made."""

    def __init__(self) -> None:
        self._before = self._now()

    def since(self, seconds: float) -> str:
        """Return how many cores each part had on average, over *seconds*."""
        spent: dict[str, float] = defaultdict(float)
        for pid, (part, taken) in self._now().items():
            spent[part] += (taken - self._before.get(pid, (part, 0.0))[1]) / seconds
        most_first = sorted(spent.items(), key=itemgetter(1), reverse=True)
        return ", ".join(f"{part} {cores:.2f}" for part, cores in most_first if cores > _NOTHING)

    def _now(self) -> dict[int, tuple[str, float]]:
        found = {}
        for process in _all():
            with suppress(psutil.Error):
                times = process.cpu_times()
                found[process.pid] = _part(process), times.user + times.system
        return found


def _part(process: psutil.Process) -> str:
    """Return what *process* is here for."""
    if process.pid == os.getpid():
        return "callers"
    if function := process.environ().get("AWS_LAMBDA_FUNCTION_NAME"):
        return function.rpartition("-")[2]
    words = " ".join(process.cmdline())
    known = {"launcher.py": "AWS", "mongod": "mongod", "spawn_main": "serve", "infra.serve": "serve"}
    return next((part for word, part in known.items() if word in words), "others")
