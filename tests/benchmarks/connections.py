"""What sends and connections cost: store round trips by the functions' own log records, stored bytes, memory."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import psutil
from pymongo import MongoClient
from pymongo.database import Database

from infra.local.processes.mongod import DATABASE
from infra.local.stack import Stack
from tests.benchmarks.report import percentile, show


def show_trips(stack: Stack, since_ms: int) -> None:
    """Print the store round trips of each route since *since_ms*, the check of the session included.

    Frames are not among them: the emulator keeps no log records of the functions of WebSockets.
    """
    seen: dict[str, list[int]] = defaultdict(list)
    for line in _lines(stack, since_ms):
        if line.get("kind") == "request":
            seen[f"{line['method']} {line['route']}"].append(line["storeRoundTrips"])
    rows = [
        [route, str(len(trips)), str(min(trips)), f"{percentile(trips, 50):g}", str(max(trips))]
        for route, trips in sorted(seen.items())
    ]
    show("store round trips", ("route", "calls", "fewest", "p50", "most"), rows)


def memory(stack: Stack) -> int:
    """Return the resident bytes of the emulator, which holds the connections in place of API Gateway."""
    resident: int = psutil.Process(stack.emulator.pid).memory_info().rss
    return resident


def show_size(stack: Stack, connections: int, grown_bytes: int) -> None:
    """Print what a connection takes in MongoDB, beside a session, and in the emulator, which grew by *grown_bytes*."""
    with MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        connection, session = (_stored(client[DATABASE], name) for name in ("connections", "sessions"))
    rows = [
        ["a session in MongoDB", f"{session:.0f}", "1.00"],
        ["a connection in MongoDB", f"{connection:.0f}", f"{connection / session:.2f}"],
        [
            "a connection in the emulator",
            f"{grown_bytes / connections:.0f}",
            f"{grown_bytes / connections / session:.2f}",
        ],
    ]
    show(f"memory, {connections} connections", ("what", "bytes", "ratio to a session"), rows)


def _stored(database: Database[dict[str, Any]], name: str) -> float:
    """Return the mean bytes of the documents of a collection, without their entries in indexes."""
    (mean,) = database[name].aggregate([{"$group": {"_id": None, "bytes": {"$avg": {"$bsonSize": "$$ROOT"}}}}])
    return float(mean["bytes"])


def _lines(stack: Stack, since_ms: int) -> Iterator[dict[str, Any]]:
    """Yield the log records of the API since *since_ms*."""
    pages = stack.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=f"/aws/lambda/holdfast-{stack.stage}-api", startTime=since_ms):
        for event in page["events"]:
            if event["message"].startswith("{"):
                yield json.loads(event["message"])
