"""The cost of a lock beside its two conditional writes, and the delay of a takeover from a dead holder.

Three ways in the same run, on the same endpoint, in turn: two bare conditional writes through a plain client,
Holdfast's locks, and python-dynamodb-lock. Each caller is a thread with a lock of its own, so no caller waits.
"""

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from python_dynamodb_lock.python_dynamodb_lock import DynamoDBLockClient

from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.locks import Locks
from chalicelib.core.runtime.settings import AwsSettings, option
from infra.local.stack import Stack
from tests.benchmarks.report import CONSOLE, percentile, show
from tests.support.lock_holder import LockHolder

_TTL_MS = 10_000
#: The time to live of a lock with a dying holder.
_DYING_TTL_MS = 2_000
_MOST_CALLERS = 32
#: The approximate start time of a process, before its first call.
_START_SECONDS = 0.5
#: Limits: the ratio of cycles per second to those of bare writes, and the delay of a takeover past the TTL.
_RATIO, _TAKEOVER_MS = 0.9, 100
_BARE, _OURS, _OTHER = "bare conditional writes", "holdfast", "python-dynamodb-lock"

#: Acquires and releases the named lock.
Cycle = Callable[[str], None]


class Pace(NamedTuple):
    """The milliseconds of each cycle of a way, and the seconds of all cycles together."""

    cycles_ms: list[float]
    seconds: float

    @property
    def per_second(self) -> float:
        return len(self.cycles_ms) / self.seconds


def run(*, smoke: bool) -> None:
    """Measure cycles, then takeovers."""
    sizes = {1: 20, 8: 5, 32: 2} if smoke else {1: 100, 8: 30, 32: 10}
    rounds, deaths = (2, 1) if smoke else (9, 8)
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        ways = _ways(stack)
        rows = []
        for callers, cycles in sizes.items():
            CONSOLE.log(f"{callers} callers, {rounds} rounds of {cycles} cycles each")
            paces = _measure(ways, callers, cycles, rounds)
            rows += [_row(callers, way, pace, paces[_BARE]) for way, pace in paces.items()]
        show("acquire and release", _COLUMNS, rows)
        CONSOLE.log(f"{deaths} deaths each")
        ours = [_takeover(stack, f"dying-{number}") for number in range(deaths)]
        other = [_other_takeover(stack, f"dying-{number}") for number in range(deaths)]
        title = "takeover by a process that never saw the lock: after the holder's death, past the TTL"
        columns = ("way", "p50 ms", "worst ms", f"held to {_TAKEOVER_MS} ms")
        show(title, columns, [_late(_OURS, ours), _late(_OTHER, other)])


_COLUMNS = ("callers", "way", "per second", "p50 ms", "p99 ms", "ratio", f"held to {_RATIO}")


def _row(callers: int, way: str, pace: Pace, bare: Pace) -> list[str]:
    ratio = pace.per_second / bare.per_second
    return [
        str(callers),
        way,
        f"{pace.per_second:.0f}",
        f"{percentile(pace.cycles_ms, 50):.1f}",
        f"{percentile(pace.cycles_ms, 99):.1f}",
        f"{ratio:.2f}",
        _kept(way, kept=ratio >= _RATIO),
    ]


def _late(way: str, late_ms: list[float]) -> list[str]:
    worst = max(late_ms)
    return [way, f"{percentile(late_ms, 50):.0f}", f"{worst:.0f}", _kept(way, kept=worst <= _TAKEOVER_MS)]


def _kept(way: str, *, kept: bool) -> str:
    """Return "yes" or "no" for Holdfast's limit, and "" for the other ways, which have no limit."""
    return ("yes" if kept else "no") if way == _OURS else ""


def _options(stack: Stack) -> dict[str, Any]:
    """Return the client's options, equal for every way."""
    keys = stack.environment
    return {
        "endpoint_url": stack.endpoint_url,
        "region_name": keys["AWS_REGION"],
        "aws_access_key_id": keys["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": keys["AWS_SECRET_ACCESS_KEY"],
        "config": Config(max_pool_connections=_MOST_CALLERS, retries={"mode": "standard", "total_max_attempts": 2}),
    }


def _ways(stack: Stack) -> dict[str, Cycle]:
    bare = boto3.client("dynamodb", **_options(stack))
    DynamoDBLockClient.create_dynamodb_table(bare)
    # Holdfast's locks use the client of the functions.
    os.environ.update(stack.environment)
    os.environ[option(AwsSettings, "max_connections")] = str(_MOST_CALLERS)
    return {
        _BARE: partial(_bare, bare, f"holdfast-{stack.stage}-coordination"),
        _OURS: partial(_ours, coordination_wiring.locks()),
        _OTHER: partial(_other, DynamoDBLockClient(boto3.resource("dynamodb", **_options(stack)))),
    }


def _bare(client: Any, table: str, name: str) -> None:
    key, now_ms = {"pk": {"S": f"bare#{name}"}}, round(time.time() * 1000)
    client.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET #owner = :owner, expiresAt = :expires",
        ConditionExpression="attribute_not_exists(#owner) OR expiresAt < :now",
        ExpressionAttributeNames={"#owner": "owner"},
        ExpressionAttributeValues={
            ":owner": {"S": name},
            ":expires": {"N": str(now_ms + _TTL_MS)},
            ":now": {"N": str(now_ms)},
        },
    )
    client.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="REMOVE #owner, expiresAt",
        ConditionExpression="#owner = :owner",
        ExpressionAttributeNames={"#owner": "owner"},
        ExpressionAttributeValues={":owner": {"S": name}},
    )


def _ours(locks: Locks, name: str) -> None:
    with locks.lock(name, _TTL_MS):
        return


def _other(client: Any, name: str) -> None:
    client.release_lock(client.acquire_lock(name), best_effort=False)


def _measure(ways: dict[str, Cycle], callers: int, cycles: int, rounds: int) -> dict[str, Pace]:
    """Run *rounds* of each way in alternating order, after a warm-up that opens the connections."""
    paces = {way: Pace([], 0.0) for way in ways}
    names = [f"bench-{callers}-{number}" for number in range(callers)]
    with ThreadPoolExecutor(callers) as pool:
        for cycle in ways.values():
            list(pool.map(cycle, names))
        for round_ in range(rounds):
            for way in sorted(ways, reverse=bool(round_ % 2)):
                began = time.perf_counter()
                taken = pool.map(partial(_timed, ways[way], cycles), names)
                cycles_ms = [one for caller in taken for one in caller]
                before = paces[way]
                paces[way] = Pace(before.cycles_ms + cycles_ms, before.seconds + time.perf_counter() - began)
    return paces


def _timed(cycle: Cycle, cycles: int, name: str) -> list[float]:
    taken = []
    for _ in range(cycles):
        began = time.perf_counter()
        cycle(name)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def _takeover(stack: Stack, name: str) -> float:
    """Kill a holder; return the delay past the TTL, in ms, until a newly started process has the lock."""
    with LockHolder(stack.environment, name, ttl_ms=_DYING_TTL_MS) as holder:
        holder.has()
        died = holder.kill()
    with LockHolder(stack.environment, name, ttl_ms=_DYING_TTL_MS, wait_ms=60_000) as heir:
        return (heir.has().at - died) * 1000 - _DYING_TTL_MS


def _other_takeover(stack: Stack, name: str) -> float:
    """Measure the takeover of the other library, delayed by the start time of a process."""
    lease = timedelta(milliseconds=_DYING_TTL_MS)
    resource = boto3.resource("dynamodb", **_options(stack))
    # This holder sends no heartbeat, so the holder is dead from the start.
    DynamoDBLockClient(resource, lease_duration=lease, heartbeat_period=timedelta(hours=1)).acquire_lock(name)
    died = time.time()
    time.sleep(_START_SECONDS)
    heir = DynamoDBLockClient(resource, lease_duration=lease, heartbeat_period=timedelta(hours=1))
    heir.acquire_lock(name, retry_period=timedelta(milliseconds=20), retry_timeout=timedelta(minutes=1))
    return (time.time() - died) * 1000 - _DYING_TTL_MS
