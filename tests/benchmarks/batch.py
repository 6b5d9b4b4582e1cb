"""The time of a batch update, beside equally many bare conditional writes with the same concurrency."""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from infra.local.stack import Stack
from tests.benchmarks.api import Api, an_application, sign_in
from tests.benchmarks.bare import Bare
from tests.benchmarks.report import CONSOLE, percentile, show

#: Concurrent writes within a call.
_AT_ONCE = 10
#: API Gateway's timeout.
_LIMIT_SECONDS = 29
#: The statuses through which each set of applications is moved.
_MOVES = ("submitted", "review", "approved")
_PATH = "/api/applications/batch-update"


def run(*, smoke: bool) -> None:
    """Measure batches, and check that each id is reported once; exit with 1 if not."""
    size, sets = (40, 1) if smoke else (500, 4)
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        api, bare = Api(stack, sign_in(stack)), Bare(stack, _AT_ONCE)
        ours, theirs, wrong = [], [], []
        for number in range(sets):
            CONSOLE.log(f"set {number + 1} of {sets}: {size} applications")
            made = _made(api, size)
            for version, status in enumerate(_MOVES):
                seconds, moved = _timed(partial(api.call, "POST", _PATH, {"applicationIds": made, "status": status}))
                ours.append(seconds)
                wrong += _wrong(moved, {"updated": made})
                theirs.append(_timed(partial(_bare, bare, made, version))[0])
        CONSOLE.log("a batch of which a quarter each is moved, at another version, nowhere, and in another state")
        wrong += _mixed(api, size)
    rows = [_row("holdfast", ours, theirs), _row("bare conditional writes", theirs, theirs)]
    show(f"{size} applications moved, {_AT_ONCE} writes at a time, {len(ours)} times", _COLUMNS, rows)
    CONSOLE.print("\n".join(wrong) or "every id was in exactly one list, and in the right one")
    if wrong:
        sys.exit(1)


_COLUMNS = ("way", "p50 s", "worst s", "of 29 s", "p50 ratio")


def _row(way: str, seconds: list[float], bare: list[float]) -> list[str]:
    p50, worst = percentile(seconds, 50), max(seconds)
    share = f"{worst / _LIMIT_SECONDS:.0%}"
    return [way, f"{p50:.2f}", f"{worst:.2f}", share, f"{p50 / percentile(bare, 50):.2f}"]


def _made(api: Api, count: int, **fields: Any) -> list[str]:
    def one(_: int) -> str:
        return str(api.prepare("POST", "/api/applications", an_application(**fields))["applicationId"])

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, range(count)))


def _bare(bare: Bare, names: Iterable[str], version: int) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        assert all(pool.map(lambda name: bare.write(name, version), names))


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def _mixed(api: Api, size: int) -> list[str]:
    quarter = size // 4
    fresh, late, submitted = _made(api, quarter), _made(api, quarter), _made(api, quarter, status="submitted")
    missing = [f"none-{number}" for number in range(quarter)]
    versions = {**dict.fromkeys([*fresh, *missing, *submitted], 1), **dict.fromkeys(late, 7)}
    items = [{"id": name, "version": version} for name, version in versions.items()]
    moved = api.call("POST", _PATH, {"items": items, "status": "submitted"})
    return _wrong(moved, {"updated": fresh, "conflicts": late, "missing": missing, "invalid": submitted})


def _wrong(moved: dict[str, list[str]], wanted: dict[str, list[str]]) -> list[str]:
    """Return the differences of the reported lists from *wanted*."""
    often = [name for name, times in Counter(name for names in moved.values() for name in names).items() if times > 1]
    twice = [f"{name} stands in more than one list" for name in often]
    places = {list_: sorted(names) for list_, names in moved.items() if names}
    if places != {list_: sorted(names) for list_, names in wanted.items()}:
        return [*twice, f"{ {list_: len(names) for list_, names in moved.items()} } where others were wanted"]
    return twice
