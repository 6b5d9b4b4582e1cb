"""The delay until a waiting caller gets the answer, and the database's cost.

Two ways in the same run, on the same deployed stack: polls every 500 ms (the original design), and Holdfast's polls.
Callers hold ``GET …?waitMs=`` in Lambda processes of their own, past the proxy; a person answers after 1 to 5 s. The
wake-up lasts from the record of the answer (``resolvedAt``, by this machine's clock) to the caller's response.
"""

import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import requests
from pymongo import MongoClient

from infra.local.stack import Stack
from tests.benchmarks.api import Api, sign_in
from tests.benchmarks.report import CONSOLE, percentile, show

_ORIGINAL = {"APPROVALS_FIRST_POLL_MS": "500", "APPROVALS_SLOWEST_POLL_MS": "500", "APPROVALS_POLL_GROWTH": "1"}
_USER = "person"


class Cost(NamedTuple):
    """The delays of all callers, and the database's cost per caller."""

    wakes_ms: list[float]
    cpu_ms_per_wait: float
    reads_per_wait: float


def run(*, smoke: bool) -> None:
    """Measure wake-ups."""
    sizes = {1: 4, 4: 1} if smoke else {1: 25, 20: 3, 50: 3}
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        token = sign_in(stack)
        Api(stack, token).call("POST", "/api/users", {"username": _USER, "password": "no matter", "roles": ["user"]})
        rows = []
        measured: dict[tuple[int, str], Cost] = {}
        for name, variables in (("500 ms polling", _ORIGINAL), ("holdfast", {})):
            stack.redeploy(variables)
            for waiters, rounds in sizes.items():
                CONSOLE.log(f"{name}: {waiters} waiters, {rounds} rounds")
                measured[waiters, name] = _measure(stack, token, waiters, rounds)
        for waiters in sizes:
            before = measured[waiters, "500 ms polling"]
            rows += [_row(waiters, name, measured[waiters, name], before) for name in ("500 ms polling", "holdfast")]
        show("wake-up: answer recorded to caller answered", _COLUMNS, rows)


_COLUMNS = ("waiters", "way", "p50 ms", "p99 ms", "p50 ratio", "mongod CPU ms/wait", "CPU ratio", "reads/wait")


def _row(waiters: int, name: str, cost: Cost, before: Cost) -> list[str]:
    p50, p99 = percentile(cost.wakes_ms, 50), percentile(cost.wakes_ms, 99)
    return [
        str(waiters),
        name,
        f"{p50:.0f}",
        f"{p99:.0f}",
        f"{p50 / percentile(before.wakes_ms, 50):.2f}",
        f"{cost.cpu_ms_per_wait:.1f}",
        f"{cost.cpu_ms_per_wait / before.cpu_ms_per_wait:.2f}",
        f"{cost.reads_per_wait:.1f}",
    ]


def _measure(stack: Stack, token: str, waiters: int, rounds: int) -> Cost:
    """Run *rounds* of *waiters* concurrent callers, after a warm-up round."""
    rng = random.Random(waiters)  # the same delays for both ways
    apis = [Api(stack, token) for _ in range(waiters)]
    with ThreadPoolExecutor(waiters) as pool, MongoClient[dict[str, Any]](stack.mongodb_uri) as mongo:
        list(pool.map(lambda api: _one(api, 1.0), apis))
        process = psutil.Process(stack.mongod.pid)
        cpu, reads = process.cpu_times(), _reads(mongo)
        wakes: list[float] = []
        for _ in range(rounds):
            wakes += pool.map(_one, apis, [rng.uniform(1, 5) for _ in apis])
        spent = process.cpu_times()
        total = (spent.user + spent.system) - (cpu.user + cpu.system)
        return Cost(wakes, total * 1000 / len(wakes), (_reads(mongo) - reads) / len(wakes))


def _one(api: Api, after_seconds: float) -> float:
    """Ask, wait, and answer *after_seconds*; return the wake-up in ms."""
    request_id = api.call("POST", "/send-notification", {"username": _USER, "wait": False})["requestId"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            lambda: (api.call("GET", f"/api/pending-responses/{request_id}?waitMs=20000"), time.time())
        )
        # Not a wait for luck: the person's time to answer.
        time.sleep(after_seconds)
        requests.post(
            f"{api._base}/api/pending-responses/{request_id}/resolve",
            json={"action": "approve"},
            headers=api._headers,
            timeout=60,
        ).raise_for_status()
        settled, at = waiting.result()
    return (at - datetime.fromisoformat(settled["resolvedAt"]).timestamp()) * 1000


def _reads(mongo: MongoClient[dict[str, Any]]) -> int:
    counters = mongo.admin.command("serverStatus")["opcounters"]
    return int(counters["query"] + counters["getmore"])
