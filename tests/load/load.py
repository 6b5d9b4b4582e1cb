"""What callers get who do not wait for each other: four reads to one change, beside calls that ask no store.

Each caller makes the next call when the last one is answered, past the front, on functions of their own. All the
callers are in one process beside the stack, so that what is measured is this machine and not what AWS would bear.
"""

import random
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import requests

from infra.local.stack import Stack
from tests.client import Client
from tests.load.api import Api, an_application, sign_in
from tests.load.figures import CONSOLE, percentile, show

_PATH = "/api/applications"
_HEALTH, _MIX = "/health", "80 % get and list, 20 % put"
#: So few that callers often want to change the same one.
_APPLICATIONS = 50
#: As often a change that lost is made again.
_ATTEMPTS = 20
#: A hundred functions that start at once on two cores take their time; as soon as most answer within this, they have.
_WARM_SECONDS, _FIRST_ROUNDS = 2, 10
#: Stands for no answer at all.
_NONE = 0


class Call(NamedTuple):
    """What one call was answered, and how fast."""

    status: int
    ms: float


#: Does what one caller does once, in one call or more.
Turn = Callable[["_Caller"], None]


def run(*, smoke: bool) -> None:
    """Measure both at each number of callers; exit with 1 where a change that was answered is not there."""
    crowds, seconds = ([4], 2.0) if smoke else ([32, 100], 20.0)
    turns: dict[str, Turn] = {_HEALTH: _ask_health, _MIX: _read_or_change}
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        token, rows, changes = sign_in(stack), [], 0
        api = Api(stack, token)
        made = [api.call("POST", _PATH, an_application())["applicationId"] for _ in range(_APPLICATIONS)]
        for size in crowds:
            callers = [_Caller(stack.api_url, token, made, number) for number in range(size)]
            CONSOLE.log(f"{size} callers: their functions start")
            # Few warm functions answer many callers as long as these ask one after the other: only the mix starts all.
            for _ in range(_FIRST_ROUNDS):
                warming = _measure(callers, _read_or_change, seconds / 2)
                if percentile([call.ms for call in warming], 95) < _WARM_SECONDS * 1000:
                    break
            measured = {}
            for what, turn in turns.items():
                CONSOLE.log(f"{size} callers, {what}: {seconds:g} s")
                measured[what] = _measure(callers, turn, seconds)
            rows += [_row(size, what, calls, measured[_HEALTH], seconds) for what, calls in measured.items()]
            changes += sum(caller.changed for caller in callers)
        versions = sum(api.call("GET", f"{_PATH}/{name}")["version"] - 1 for name in made)
    show(f"callers who do not wait for each other, {_APPLICATIONS} applications", _COLUMNS, rows)
    CONSOLE.print(f"{changes} changes were answered, {versions} versions are there")
    # One whose answer was lost may be there all the same.
    if versions < changes:
        sys.exit(1)


_COLUMNS = ("callers", "what", "calls/s", "ratio", "p50 ms", "p95 ms", "p50 ratio", "409", "errors")


def _row(size: int, what: str, calls: list[Call], health: list[Call], seconds: float) -> list[str]:
    times = [call.ms for call in calls]
    p50, base = percentile(times, 50), percentile([call.ms for call in health], 50)
    statuses = Counter(call.status for call in calls)
    errors = ", ".join(f"{many} x {status or 'none'}" for status, many in statuses.items() if status not in {200, 409})
    return [
        str(size),
        what,
        f"{len(calls) / seconds:.0f}",
        f"{len(calls) / len(health):.2f}",
        f"{p50:.0f}",
        f"{percentile(times, 95):.0f}",
        f"{p50 / base:.2f}",
        str(statuses[409]),
        errors or "0",
    ]


def _measure(callers: list["_Caller"], turn: Turn, seconds: float) -> list[Call]:
    barrier = threading.Barrier(len(callers))

    def work(caller: _Caller) -> list[Call]:
        caller.calls = []
        barrier.wait()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            turn(caller)
        return caller.calls

    with ThreadPoolExecutor(len(callers)) as pool:
        return [call for calls in pool.map(work, callers) for call in calls]


class _Caller:
    """One who calls again and again, and what each call was answered."""

    def __init__(self, url: str, token: str, made: list[str], number: int) -> None:
        self._client, self._made, self._rng = Client(url, token), made, random.Random(number)
        self.calls: list[Call] = []
        self.changed = 0
        self._known: dict[str, int] = defaultdict(lambda: 1)

    def ask(self, path: str, version: int | None = None) -> int:
        """Read *path*, or change it at *version*; return the status, and remember the version that is told."""
        began, status = time.perf_counter(), _NONE
        body = None if version is None else {"incomeMinor": self._rng.randrange(10**6), "version": version}
        try:
            answer = self._client.call("PUT" if body else "GET", path, body)
            told = answer.json()
            self._known[path] = told.get("version") or told.get("currentVersion") or self._known[path]
            status = answer.status_code
        except (requests.RequestException, ValueError):
            status = _NONE
        self.calls.append(Call(status, (time.perf_counter() - began) * 1000))
        return status

    def turn(self) -> None:
        """Read in four of five turns, else change one until nobody else was faster."""
        path, chance = f"{_PATH}/{self._rng.choice(self._made)}", self._rng.random()
        if chance < 0.4:
            self.ask(_PATH)
        elif chance < 0.8:
            self.ask(path)
        else:
            self._change(path)

    def _change(self, path: str) -> None:
        # The version that this caller saw last, as a page has that was loaded a while ago.
        for _ in range(_ATTEMPTS):
            if (status := self.ask(path, self._known[path])) != 409:
                self.changed += status == 200
                return


def _ask_health(caller: _Caller) -> None:
    caller.ask(_HEALTH)


def _read_or_change(caller: _Caller) -> None:
    caller.turn()
