"""What applications cost to find, read and change when there are a thousand, and when there are a million.

Truth and view really hold that many; history, which no list reads, does not. One caller, past the front, to functions
that are warm; every sort of call in turn, so that what else the machine does is spread over all.
"""

import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import psutil

from chalicelib.applications.search import KIND
from chalicelib.core.records.models import key
from infra.local.stack import Stack
from tests.benchmarks import seed
from tests.benchmarks.api import an_application, sign_in
from tests.benchmarks.report import CONSOLE, percentile, show
from tests.benchmarks.seed import Seed, application_id, first_name
from tests.support.client import Client, json_of
from tests.support.waiting import eventually

_PATH = "/api/applications"
#: How far below the first a list is read on by cursor, if it is so long.
_DEEP = 50_000
#: Calls of each sort before those that are measured; and more applications than are changed at one size.
_WARMING, _CHANGED = 3, 250
#: What a page takes at most.
_PAGE = 200
#: Of one sort of call at one size, beyond which it is not repeated.
_BUDGET_SECONDS = 12
_FIRST_PAGE, _GET = "list: first page", "get"
#: What these are held to, whatever the size, beside the smallest one.
_RATIO = 1.3
_HELD = frozenset({_FIRST_PAGE, _GET})

#: Makes one call, and returns its status.
Ask = Callable[[], int]


class Figures(NamedTuple):
    """What one sort of call took at one size, and how many of them failed."""

    answers_ms: list[float]
    failed: int


def run(*, smoke: bool) -> None:
    """Measure at each size."""
    sizes, repeats = ([100, 1_000], 5) if smoke else ([1_000, 30_000, 1_000_000], 100)
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        client = Client(stack.api_url, sign_in(stack))
        grown = Seed(stack)
        _see_form(client, grown)
        measured: dict[int, dict[str, Figures]] = {}
        for size in sizes:
            began = time.monotonic()
            grown.grow(size)
            CONSOLE.log(
                f"{size:,} applications in truth and view after {time.monotonic() - began:.0f} s; {_sizes(stack)}"
            )
            measured[size] = _measure(client, size, sizes[0], repeats)
        # Saving a million items takes long, and nobody will read them.
        stack.emulator.kill()
    rows = [_row(name, size, measured) for name in measured[sizes[0]] for size in sizes]
    show(f"one caller, {repeats} calls of each sort at most; load of the machine {_load()}", _COLUMNS, rows)


_COLUMNS = (
    "call",
    "applications",
    "calls",
    "failed",
    "p50 ms",
    "p95 ms",
    "p50 ratio",
    "p95 ratio",
    f"held to {_RATIO}",
)


def _row(name: str, size: int, measured: dict[int, dict[str, Figures]]) -> list[str]:
    smallest, found = measured[min(measured)][name].answers_ms, measured[size][name]
    p50, p95 = percentile(found.answers_ms, 50), percentile(found.answers_ms, 95)
    ratio = p50 / percentile(smallest, 50)
    held = ("yes" if ratio <= _RATIO else "no") if name in _HELD else ""
    numbers = [f"{size:,}", str(len(found.answers_ms)), str(found.failed), f"{p50:.1f}", f"{p95:.1f}"]
    return [name, *numbers, f"{ratio:.2f}", f"{p95 / percentile(smallest, 95):.2f}", held]


def _load() -> str:
    return ", ".join(f"{load:.1f}" for load in os.getloadavg())


def _sizes(stack: Stack) -> str:
    ours = {"emulator": stack.emulator.pid, "mongod": stack.mongod.pid}
    return ", ".join(f"{name} {psutil.Process(pid).memory_info().rss / 2**20:,.0f} MB" for name, pid in ours.items())


def _see_form(client: Client, grown: Seed) -> None:
    """Have the store itself write one, compare, and take it away for good."""
    made = json_of(client.post(_PATH, an_application()), 201)["applicationId"]
    pk = key(KIND.name, made)
    written = grown.table.get(pk)
    assert written
    seed.check(written)
    eventually(lambda: json_of(client.get(f"{_PATH}/{made}/history"))["items"])
    grown.forget(made)


def _measure(client: Client, size: int, smallest: int, repeats: int) -> dict[str, Figures]:
    asks = _asks(client, size, smallest)
    for ask in asks.values():
        for _ in range(_WARMING):
            ask()
    # The first that was put: history is written by the stream, which is new since there are so many.
    history = f"{_PATH}/{application_id(size // 2)}/history"
    eventually(lambda: json_of(client.get(history))["items"])
    found = {name: Figures([], 0) for name in asks}
    for _ in range(repeats):
        for name, ask in asks.items():
            if sum(found[name].answers_ms) < _BUDGET_SECONDS * 1000:
                began = time.perf_counter()
                status = ask()
                found[name].answers_ms.append((time.perf_counter() - began) * 1000)
                found[name] = found[name]._replace(failed=found[name].failed + (status != 200))
    return found


def _asks(client: Client, size: int, smallest: int) -> dict[str, Ask]:
    """Return every sort of call by what it is called."""
    rng = random.Random(size)
    fresh = iter(range(0, size // 2, max(1, size // 2 // _CHANGED)))

    def get(path: str) -> int:
        return client.get(path).status_code

    def listed(**query: Any) -> Ask:
        return lambda: get(f"{_PATH}?{urlencode(query)}")

    def put() -> int:
        # Each is changed once, so the version is known; those that a smaller size changed were in another half.
        path = f"{_PATH}/{application_id(size // 2 + next(fresh))}"
        return client.call("PUT", path, {"incomeMinor": size, "version": 1}).status_code

    hundredth = {"page": 100, "limit": max(1, smallest // 100)}
    return {
        "health (asks no store)": lambda: get("/health"),
        _GET: lambda: get(f"{_PATH}/{application_id(rng.randrange(size))}"),
        "put": put,
        _FIRST_PAGE: listed(),
        f"list: page 100 of {hundredth['limit']}": listed(**hundredth),
        "list: deep, by cursor": listed(cursor=_deep(client, size)),
        "list: one status of six": listed(status=seed.RARE.value),
        "list: by amount": listed(sort="-amountMinor"),
        "list: one status, by amount": listed(status=seed.RARE.value, sort="-amountMinor"),
        "search: finds one": lambda: get(f"{_PATH}?q={application_id(rng.randrange(size))}"),
        "search: finds one in 50": lambda: get(f"{_PATH}?q={first_name(rng.randrange(seed.FIRST_NAMES))}"),
        "search: finds half": listed(q=seed.HALF),
        "search: two words, one of them everywhere": listed(q=f"{seed.EVERYWHERE} {first_name(7)}"),
        "search: finds all": listed(q=seed.EVERYWHERE),
    }


def _deep(client: Client, size: int) -> str:
    """Follow the list down, and return the cursor of the middle, or of as deep as is looked at."""
    cursor: dict[str, Any] = {}
    limit = min(_PAGE, max(1, size // 4))
    for _ in range(min(_DEEP, size // 2) // limit):
        page = json_of(client.get(f"{_PATH}?{urlencode({'limit': limit, **cursor})}"))
        cursor = {"cursor": page["nextCursor"]}
    return str(cursor["cursor"])
