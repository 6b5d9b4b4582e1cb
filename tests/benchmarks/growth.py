"""The time to find, read and change applications, among a thousand and among a million.

System of record and view hold all applications; history, which no list reads, does not. A single caller calls warm
functions at the gateway; the sorts of calls take turns, so that other load of the machine is spread over all sorts.
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
#: The depth at which a list is read by cursor, if the list is so long.
_DEEP = 50_000
#: Unmeasured calls of each sort at first; and an upper bound of changed applications per size.
_WARMING, _CHANGED = 3, 250
#: The largest limit of a page.
_PAGE = 200
#: The time per sort of call and size, after which the call is not repeated.
_BUDGET_SECONDS = 12
_FIRST_PAGE, _GET = "list: first page", "get"
#: The limit of the p50 ratio to the smallest size, for the calls of `_HELD`.
_RATIO = 1.3
_HELD = frozenset({_FIRST_PAGE, _GET})

#: Makes a call, and returns the status.
Request = Callable[[], int]


class Figures(NamedTuple):
    """The times of a sort of call at a size, and the number of failures."""

    answers_ms: list[float]
    failed: int


def run(*, smoke: bool) -> None:
    """Measure at each size."""
    sizes, repeats = ([100, 1_000], 5) if smoke else ([1_000, 30_000, 1_000_000], 100)
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        client = Client(stack.api_url, sign_in(stack))
        grown = Seed(stack)
        _check_form(client, grown)
        measured: dict[int, dict[str, Figures]] = {}
        for size in sizes:
            began = time.monotonic()
            grown.grow(size)
            CONSOLE.log(
                f"{size:,} applications in truth and view after {time.monotonic() - began:.0f} s; {_sizes(stack)}"
            )
            measured[size] = _measure(client, size, sizes[0], repeats)
        # Killed, as a stop would save a million items for no reader.
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


def _check_form(client: Client, grown: Seed) -> None:
    """Compare an item of the store with the form of seeded items, and delete the item."""
    made = json_of(client.post(_PATH, an_application()), 201)["applicationId"]
    pk = key(KIND.name, made)
    written = grown.table.get(pk)
    assert written
    seed.check(written)
    eventually(lambda: json_of(client.get(f"{_PATH}/{made}/history"))["items"])
    grown.forget(made)


def _measure(client: Client, size: int, smallest: int, repeats: int) -> dict[str, Figures]:
    asks = _requests(client, size, smallest)
    for ask in asks.values():
        for _ in range(_WARMING):
            ask()
    # The stream is new after the growth, so wait for the history of the first change.
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


def _requests(client: Client, size: int, smallest: int) -> dict[str, Request]:
    """Return every sort of call by its name."""
    rng = random.Random(size)
    fresh = iter(range(0, size // 2, max(1, size // 2 // _CHANGED)))

    def get(path: str) -> int:
        return client.get(path).status_code

    def listed(**query: Any) -> Request:
        return lambda: get(f"{_PATH}?{urlencode(query)}")

    def put() -> int:
        # Each application is changed once, so its version is 1; smaller sizes changed another half.
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
    """Follow the list, and return the cursor at the middle or at `_DEEP`, whichever is nearer."""
    cursor: dict[str, Any] = {}
    limit = min(_PAGE, max(1, size // 4))
    for _ in range(min(_DEEP, size // 2) // limit):
        page = json_of(client.get(f"{_PATH}?{urlencode({'limit': limit, **cursor})}"))
        cursor = {"cursor": page["nextCursor"]}
    return str(cursor["cursor"])
