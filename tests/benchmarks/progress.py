"""Progress: the time from an update to its watchers, and what each way of watching costs the database.

The baseline is the original's way in the same run: a poll every two seconds. An update comes at an irregular pace, so
that no poll keeps in step. A time lasts from the call that updates until a watcher has a snapshot that is at least as
new. Reads and processor time of the database are those of the run less those of the same updates without watchers.

Then 200 watchers follow one job at a time in each way: by calls at `scripts/serve`, by WebSockets at the gateway, where
so many connections get nudges. `leads` measures activations.
"""

import random
import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import psutil
import requests
from pymongo import MongoClient

from infra.local.stack import Stack
from tests.benchmarks import leads
from tests.benchmarks.report import CONSOLE, percentile, show
from tests.support.client import Client, json_of, patiently
from tests.support.server import ServeProcess
from tests.support.ses import MailServer
from tests.support.waiting import eventually
from tests.support.watchers import WAYS, Watch, Watcher, polls, sockets

#: The pause of the original's polls.
_ORIGINAL_SECONDS = 2.0
_ORIGINAL = "poll every 2 s (the original)"
_NONE = "no watcher"
_PASSWORD = secrets.token_hex(12)
_DEADLINE_SECONDS = 300
#: Accounts that share the watchers of a crowd, so that each stays below the connections and places of one account.
_PER_ACCOUNT = 10
_MINUTE = 60


class Scale(NamedTuple):
    """The watchers and updates of each way, the watchers of a crowd, and the leads of an activation."""

    watchers: int
    updates: int
    crowd: int
    leads: int
    #: The shortest and the longest pause between two updates.
    pause_seconds: tuple[float, float]


_SMOKE, _FULL = Scale(1, 2, 4, 8, (0.1, 0.3)), Scale(6, 40, 200, 10_000, (0.5, 1.5))


class Cost(NamedTuple):
    """Calls of the watchers, and reads and processor time of the database, in so many seconds."""

    seconds: float
    calls: int
    reads: int
    cpu_ms: float

    def less(self, other: "Cost", watchers: int) -> tuple[float, float, float]:
        """Return calls, reads and milliseconds of one watcher in a minute, without those of *other*."""
        mine, others = self._per_minute(), other._per_minute()
        calls, reads, cpu = ((here - there) / watchers for here, there in zip(mine, others, strict=True))
        return calls, max(0.0, reads), max(0.0, cpu)

    def _per_minute(self) -> tuple[float, float, float]:
        calls, reads, cpu = (each * _MINUTE / self.seconds for each in (self.calls, self.reads, self.cpu_ms))
        return calls, reads, cpu


class Measured(NamedTuple):
    """The milliseconds from each update to each watcher, and the cost of all."""

    ms: list[float]
    cost: Cost


class Counting(Client):
    """A caller that counts its calls."""

    def __init__(self, url: str, token: str | None = None) -> None:
        super().__init__(url, token)
        self.calls, self._lock = 0, Lock()

    def call(self, *arguments: Any, **options: Any) -> requests.Response:
        """Call, and count."""
        with self._lock:
            self.calls += 1
        return super().call(*arguments, **options)


class Way(NamedTuple):
    """A way to watch, and a caller for each watcher."""

    name: str
    callers: Sequence[Counting]
    watch: Watch | None = None


def run(*, smoke: bool) -> None:
    """Measure, and print the tables."""
    scale = _SMOKE if smoke else _FULL
    places = {"WAITING_PLACES": str(2 * scale.crowd), "WAITING_PLACES_PER_CALLER": str(2 * _PER_ACCOUNT)}
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack, MailServer() as ses:
        stack.redeploy({**places, **leads.variables(ses)})
        with MongoClient[dict[str, Any]](stack.mongodb_uri) as mongodb:
            bench = _Bench(stack, mongodb, scale)
            alone, crowd = bench.ways(), bench.crowd(Path(folder))
        leads.run(stack, ses, scale.leads, smoke=smoke)
    _show(f"{scale.watchers} watchers, by functions; reads and CPU are those of one watcher", alone, scale.watchers)
    _show(f"{scale.crowd} watchers of one job; reads and CPU are those of one of them", crowd, scale.crowd)


_COLUMNS = ("way", "p50 ms", "p99 ms", "p50 ratio", "calls/min", "reads/min", "database CPU ms/min", "CPU ratio")


def _show(title: str, found: Mapping[str, Measured], watchers: int) -> None:
    without, original = found[_NONE].cost, found[_ORIGINAL]
    base, (_, _, base_cpu) = percentile(original.ms, 50), original.cost.less(without, watchers)
    rows = []
    for name, measured in found.items():
        if name == _NONE:
            continue
        p50, (calls, reads, cpu) = percentile(measured.ms, 50), measured.cost.less(without, watchers)
        times = [f"{p50:.0f}", f"{percentile(measured.ms, 99):.0f}", f"{p50 / base:.2f}"]
        ratio = f"{cpu / base_cpu:.2f}" if base_cpu else "-"
        rows.append([name, *times, f"{calls:.0f}", f"{reads:.0f}", f"{cpu:.1f}", ratio])
    show(f"from an update to a watcher: {title}", _COLUMNS, rows)


class _Bench:
    """A job's owner, who reports, and administrators, who may follow every job."""

    def __init__(self, stack: Stack, mongodb: MongoClient[dict[str, Any]], scale: Scale) -> None:
        self._stack, self._mongodb, self._scale = stack, mongodb, scale
        self._rng = random.Random(7)
        self._admin = Client(stack.url).signed_in("admin", stack.admin_password or "")
        self._owner = self._person("owner", "service")
        accounts = max(1, -(-scale.crowd // _PER_ACCOUNT))
        self._tokens = [self._person(f"watcher-{number}", "admin").token for number in range(accounts)]

    def ways(self) -> dict[str, Measured]:
        """Measure each way by functions, one after the other."""
        made = partial(self._callers, self._stack.url, self._scale.watchers)
        ways = [Way(_NONE, []), Way(_ORIGINAL, made(), partial(polls, every_seconds=_ORIGINAL_SECONDS))]
        return self._measured([*ways, *(Way(name, made()) for name in WAYS)])

    def crowd(self, folder: Path) -> dict[str, Measured]:
        """Measure each way with the watchers of a crowd, by `scripts/serve` and by the gateway's WebSockets."""
        CONSOLE.log(f"{self._scale.crowd} watchers")
        (folder / "served").mkdir()
        with ServeProcess(self._stack, folder / "served", held=self._scale.crowd) as served:
            made = partial(self._callers, served.url, self._scale.crowd)
            ways = [Way(_NONE, []), Way(_ORIGINAL, made(), partial(polls, every_seconds=_ORIGINAL_SECONDS))]
            ways += [Way(name, made()) for name in WAYS if name != "socket"]
            # A connection is the gateway's; the poll after a nudge is the server's.
            connects = self._callers(self._stack.url, self._scale.crowd)
            ways.append(Way("socket", connects, partial(sockets, asks=Client(served.url, self._tokens[0]))))
            return self._measured(ways)

    def _measured(self, ways: Sequence[Way]) -> dict[str, Measured]:
        return {way.name: self._measure(way) for way in ways}

    def _measure(self, way: Way) -> Measured:
        """Follow a new job until its end."""
        CONSOLE.log(f"{way.name}: {self._scale.updates} updates")
        session_id, total = f"job-{secrets.token_hex(6)}", self._scale.updates
        self._put(session_id, total=total)
        watchers = [Watcher(way.name, caller, session_id, way.watch) for caller in way.callers]
        for watcher in watchers:
            if not watcher.began.wait(_DEADLINE_SECONDS):
                raise RuntimeError(f"{watcher.name} saw nothing: {watcher.error!r}")
        # The functions that push start with the first change.
        first = self._put(session_id, msg="begun")["revision"]
        eventually(partial(_all_have, watchers, first), _DEADLINE_SECONDS)
        before, began, sent = self._used(way.callers), time.monotonic(), dict[int, float]()
        for number in range(1, total + 1):
            # The pace of the updates, not a wait for luck.
            time.sleep(self._rng.uniform(*self._scale.pause_seconds))
            at = time.monotonic()
            last = self._put(session_id, activated=number)
            sent[last["revision"]] = at
        for watcher in watchers:
            watcher.check(last, _DEADLINE_SECONDS)
        after = self._used(way.callers)
        spent = [here - there for here, there in zip(after, before, strict=True)]
        cost = Cost(time.monotonic() - began, int(spent[0]), int(spent[1]), spent[2])
        return Measured([ms for watcher in watchers for ms in _delays(watcher, sent)], cost)

    def _used(self, callers: Sequence[Counting]) -> tuple[float, float, float]:
        """Return the calls so far, the reads of the database, and the milliseconds of its processor time."""
        reads = self._mongodb.admin.command("serverStatus")["opcounters"]["query"]
        times = psutil.Process(self._stack.mongod.pid).cpu_times()
        return sum(caller.calls for caller in callers), reads, (times.user + times.system) * 1000

    def _put(self, session_id: str, **fields: Any) -> Any:
        ask = partial(self._owner.call, "PUT", f"/api/progress/{session_id}", fields)
        return json_of(patiently(ask))["data"]

    def _callers(self, url: str, number: int) -> list[Counting]:
        return [Counting(url, self._tokens[each // _PER_ACCOUNT]) for each in range(number)]

    def _person(self, username: str, role: str) -> Client:
        new = {"username": username, "password": _PASSWORD, "roles": [role]}
        json_of(patiently(lambda: self._admin.post("/api/users", new)), 201)
        return Client(self._stack.url).signed_in(username, _PASSWORD)


def _all_have(watchers: Sequence[Watcher], revision: int) -> bool:
    return all(watcher.seen[-1][1]["revision"] >= revision for watcher in watchers)


def _delays(watcher: Watcher, sent: Mapping[int, float]) -> list[float]:
    """Return the milliseconds from each update until the watcher had a snapshot that is at least as new."""
    return [
        next(at - began for at, snapshot in watcher.seen if snapshot["revision"] >= revision) * 1000
        for revision, began in sent.items()
    ]
