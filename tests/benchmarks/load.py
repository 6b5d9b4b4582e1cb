"""Response times of a thousand administrators: four reads to one change, at a rate independent of the answers.

Two ways: functions at the gateway, with as many callers as this machine can run functions; and ``scripts/serve`` with
all callers. As a baseline, the same callers call /health, without store round trips, at the same rate.

Callers, API, database and the emulated AWS share this machine. For ``serve``, half of the cores are reserved for the
API, and the other half for all the rest; the table shows the cores used by each part.
"""

import hmac
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pymongo import MongoClient

from chalicelib.applications.search import KIND
from chalicelib.core.records.codec import record_of
from chalicelib.core.records.models import key
from chalicelib.core.web.roles import Role
from chalicelib.sessions.settings import SessionSettings
from chalicelib.sessions.store import SessionStore
from infra.local.processes.mongod import DATABASE
from infra.local.stack import Stack
from tests.benchmarks import cores
from tests.benchmarks.cores import Spent
from tests.benchmarks.open_loop import Call, Caller, Plan, follow
from tests.benchmarks.report import CONSOLE, percentile, show
from tests.benchmarks.seed import Seed, application_id
from tests.support.server import ServeProcess

#: A quarter of the turns are changes, which take two calls; other turns take a single call.
_CALLS_PER_TURN = 1.25
_MIX, _HEALTH = "4 reads, 1 change", "/health"
_SERVE = "serve"
#: The warm-up ends at this p95, or after so many rounds.
_WARM_MS, _WARM_ROUNDS = 500, 10


class Door(NamedTuple):
    """An entry point, its number of callers, and their rates in calls per second."""

    name: str
    callers: int
    rates: Sequence[int]


class Scale(NamedTuple):
    """The size of a run."""

    applications: int
    seconds: float
    warming_seconds: float
    doors: Sequence[Door]


_SMOKE = Scale(200, 1.5, 0.5, [Door("functions", 4, [10]), Door(_SERVE, 20, [40])])
_FULL = Scale(10_000, 20, 5, [Door("functions", 32, [50, 100]), Door(_SERVE, 1_000, [100, 250, 400, 500, 600, 750])])


def run(*, smoke: bool) -> None:
    """Measure each rate at each entry point; exit with 1 if an acknowledged change is lost."""
    scale, rows, changed = _SMOKE if smoke else _FULL, [], Counter[str]()
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        grown = Seed(stack)
        grown.grow(scale.applications)
        ids = [application_id(number) for number in range(scale.applications)]
        known = tokens(stack, max(door.callers for door in scale.doors))
        for door in scale.doors:
            with _opened(door, stack, Path(folder)) as url:
                callers = [Caller(url, token, ids, n) for n, token in enumerate(known[: door.callers])]
                _warm(callers, door, scale)
                for rate in door.rates:
                    rows += _rows(door, callers, rate, scale)
                changed.update(one for caller in callers for one in caller.changed)
        items = grown.table.batch_get([key(KIND.name, one) for one in changed])
    show(f"{scale.applications:,} applications; a call's time counts from when it was due", _COLUMNS, rows)
    made = {record.id: record.version - 1 for record in map(record_of, items)}
    CONSOLE.print(f"{changed.total():,} changes were answered, {sum(made.values()):,} were made")
    # A change without an answer may have been made too.
    if lost := [one for one, times in changed.items() if made.get(one, 0) < times]:
        sys.exit(f"{len(lost)} applications have lost a change, such as {lost[0]}")


_TIMES = ("p50 ms", "p95 ms", "p99 ms", "p50 ratio")
_COLUMNS = ("door", "callers", "what", "due/s", "answered/s", *_TIMES, "409", "errors", "cores at work")


def _warm(callers: Sequence[Caller], door: Door, scale: Scale) -> None:
    """Call until the answers are fast, as every caller needs a started function."""
    plan = Plan(Caller.work, max(door.rates) / _CALLS_PER_TURN, scale.warming_seconds, 0)
    for _ in range(_WARM_ROUNDS):
        if percentile([call.ms for call in follow(plan, callers)], 95) < _WARM_MS:
            return


def _rows(door: Door, callers: Sequence[Caller], rate: int, scale: Scale) -> list[list[str]]:
    """Measure a rate: /health first, then the mix."""
    rows, base = [], 0.0
    for what, turn, turns in ((_HEALTH, Caller.health, rate), (_MIX, Caller.work, rate / _CALLS_PER_TURN)):
        CONSOLE.log(f"{door.name}, {len(callers):,} callers, {what}: {rate} calls a second")
        for caller in callers:
            caller.calls = []
        spent = Spent()
        calls = follow(Plan(turn, turns, scale.seconds, scale.warming_seconds), callers)
        taken = spent.cores_per_part()
        base = base or percentile([call.ms for call in calls], 50)
        rows.append([door.name, f"{len(callers):,}", what, str(rate), *_figures(calls, base), taken])
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


def tokens(stack: Stack, count: int) -> list[str]:
    """Open *count* sessions of administrators, and return the tokens."""
    with MongoClient[dict[str, Any]](stack.mongodb_uri, tz_aware=True) as client:
        sessions = SessionStore(client[DATABASE].sessions, SessionSettings(), lambda: _sessions_key(stack))
        return [sessions.open(f"admin-{number}", [Role.ADMIN], "bench").token for number in range(count)]


def _sessions_key(stack: Stack) -> bytes:
    """Return the key of the tokens' hashes, as `clients.signing_key` makes it of the stack's secret."""
    secret = stack.client("secretsmanager").get_secret_value(SecretId=stack.environment["HOLDFAST_SECRET_ID"])
    return hmac.digest(json.loads(secret["SecretString"])["signingKey"].encode(), b"sessions", "sha256")


@contextmanager
def _opened(door: Door, stack: Stack, folder: Path) -> Iterator[str]:
    if door.name != _SERVE:
        yield stack.api_url
        return
    ours = cores.usable()
    half = max(1, len(ours) // 2)
    with ServeProcess(stack, folder, processes=half) as served:
        api = served.workers()
        cores.pin(api, ours[:half])
        cores.pin([process for process in cores.all_processes() if process not in api], ours[half:] or ours)
        yield served.url
        cores.pin(cores.all_processes(), ours)
