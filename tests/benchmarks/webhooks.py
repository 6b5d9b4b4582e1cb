"""Deliveries of webhooks: rate, time from commit to receipt, what a bad neighbour costs others, and the price.

A burst is a batch update of applications, so its rate includes the commits. Single changes come at a steady pace, the
slower the more endpoints. A bare client posts the same bodies to the same server in the same run.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import requests

from infra.local.stack import Stack
from tests.benchmarks.api import Api, an_application, sign_in
from tests.benchmarks.endpoints import FAILING, HANGING, Bare, Endpoints, Receipt, bare, serving
from tests.benchmarks.report import CONSOLE, percentile, show
from tests.support.waiting import eventually

_FEW, _SOME, _MANY = 1, 5, 20
#: The p99 of healthy endpoints beside a bad one is held to so much of the p99 without.
_HELD_TO = 1.5
_DEADLINE_SECONDS = 240
#: Functions that log nothing for so long are at rest.
_REST_SECONDS = 1
_TRIES = 5
_MILLION = 1_000_000


class Scale(NamedTuple):
    """The changes of a burst by the number of endpoints, and the number of single changes."""

    bursts: dict[int, int]
    singles: int


_SMOKE = Scale({_FEW: 4, _SOME: 2, _MANY: 1}, 2)
_FULL = Scale({_FEW: 200, _SOME: 80, _MANY: 30}, 25)
#: The most single changes, and the most deliveries of single changes, within a second: no queue is to grow.
_CHANGES_PER_SECOND, _DELIVERIES_PER_SECOND = 2, 4


class Measured(NamedTuple):
    """The figures of a number of endpoints."""

    deliveries: int
    per_second: float
    single_ms: list[float]
    bare: Bare
    work: "Work"


class Work(NamedTuple):
    """The work of the functions, from their log records."""

    #: Messages of lanes, and of events.
    wakes: int
    events: int
    #: Round trips: of the workers of events, of lanes' workers between calls, and within the log records of calls.
    event_trips: int
    lane_trips: int
    delivery_trips: int
    lambda_ms: float


def run(*, smoke: bool) -> None:
    """Measure, and print three tables."""
    scale = _SMOKE if smoke else _FULL
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack, serving() as endpoints:
        bench = _Bench(stack, endpoints)
        bench.warm(1 if smoke else 5)
        measured = {number: bench.measure(number, scale) for number in scale.bursts}
        beside = bench.beside(_SOME, scale)
    rows = [_rate(number, found) for number, found in measured.items()]
    show("deliveries to healthy endpoints; a time lasts from commit to receipt", _RATES, rows)
    show(f"{_SOME} healthy endpoints", _NEIGHBOURS, _neighbours(measured[_SOME].single_ms, beside))
    show("cost, computed from the run's messages and log records", _COSTS, [_cost(*each) for each in measured.items()])


_RATES = ("endpoints", "deliveries", "deliveries/s", "bare/s", "ratio", "p50 ms", "p99 ms", "bare p50 ms", "p50 ratio")
_NEIGHBOURS = ("beside", "p50 ms", "p99 ms", "p99 ratio", "held to", "kept")
_TRIPS = ("trips/delivery", "event", "lane", "call")
_COSTS = ("endpoints", *_TRIPS, "wakes/delivery", "write units/million", "SQS requests/million", "Lambda ms/delivery")


class _Bench:
    def __init__(self, stack: Stack, endpoints: Endpoints) -> None:
        self._stack, self._endpoints = stack, endpoints
        self._api = Api(stack, sign_in(stack))
        self._made: list[str] = []

    def warm(self, changes: int) -> None:
        """Start the functions."""
        CONSOLE.log("a warm-up, which starts the functions")
        with self._webhooks(_healthy(_MANY)):
            self._burst(changes, _MANY)

    def measure(self, number: int, scale: Scale) -> Measured:
        """Measure a burst, then single changes, then the bare client."""
        CONSOLE.log(f"{number} endpoints: {scale.bursts[number]} changes at once, then {scale.singles} one by one")
        with self._webhooks(_healthy(number)):
            began_ms = round(time.time() * 1000)
            burst = self._burst(scale.bursts[number], number)
            work = self._work(began_ms, len(burst))
            single = self._singles(scale, number)
        first = min(each.at - each.ms / 1000 for each in burst)
        per_second = len(burst) / (max(each.at for each in burst) - first)
        compared = bare(self._endpoints, [each.body for each in burst])
        return Measured(len(burst), per_second, [each.ms for each in single], compared, work)

    def beside(self, number: int, scale: Scale) -> list[float]:
        """Return the times of healthy endpoints beside one that hangs and one that fails."""
        CONSOLE.log(f"{number} endpoints, beside one that hangs and one that fails")
        with self._webhooks([*_healthy(number), HANGING, FAILING]):
            return [each.ms for each in self._singles(scale, number)]

    @contextmanager
    def _webhooks(self, paths: Sequence[str]) -> Iterator[None]:
        new = {"events": ["application.updated"], "rateLimitPerMinute": 60_000, "maxInFlight": 50}
        made = [
            self._api.call("POST", "/api/webhooks", new | {"url": self._endpoints.url + path})["webhookId"]
            for path in paths
        ]
        yield
        for webhook_id in made:
            self._api.call("DELETE", f"/api/webhooks/{webhook_id}")

    def _burst(self, changes: int, endpoints: int) -> list[Receipt]:
        made = [self._api.call("POST", "/api/applications", an_application())["applicationId"] for _ in range(changes)]
        ask = {"applicationIds": made, "status": "submitted"}
        return self._received(
            partial(self._api.call, "POST", "/api/applications/batch-update", ask), changes, endpoints
        )

    def _singles(self, scale: Scale, endpoints: int) -> list[Receipt]:
        path = f"/api/applications/{self._api.call('POST', '/api/applications', an_application())['applicationId']}"
        pace = min(_CHANGES_PER_SECOND, _DELIVERIES_PER_SECOND / endpoints)

        def change() -> None:
            began = time.monotonic()
            for number in range(scale.singles):
                # The pace of the changes, not a wait for luck.
                time.sleep(max(0, began + number / pace - time.monotonic()))
                self._change(path, {"termMonths": 25 + number, "version": number + 1})

        return self._received(change, scale.singles, endpoints)

    def _change(self, path: str, fields: dict[str, Any]) -> None:
        """Make a change; again after a 503 of a busy machine. A 409 then says that the first call made the change."""
        for _ in range(_TRIES):
            try:
                self._api.call("PUT", path, fields)
            except requests.HTTPError as error:
                if error.response.status_code == HTTPStatus.CONFLICT:
                    return
                if error.response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
                time.sleep(1)
            else:
                return
        raise AssertionError(f"{path}: 503 after {_TRIES} tries")

    def _received(self, change: Any, changes: int, endpoints: int) -> list[Receipt]:
        """Call *change*, and return the receipts of each change at each healthy endpoint."""
        self._endpoints.receipts.clear()
        change()
        wanted = changes * endpoints
        eventually(lambda: len(self._endpoints.receipts) >= wanted, deadline_seconds=_DEADLINE_SECONDS)
        found = list(self._endpoints.receipts.values())
        assert len(found) == wanted, f"{len(found)} deliveries of {wanted}"
        return found

    def _work(self, since_ms: int, deliveries: int) -> Work:
        """Return the work since *since_ms*, once the functions have logged the calls of *deliveries*, and rest."""

        def rested() -> list[list[dict[str, Any]]]:
            first = self._lines(since_ms)
            time.sleep(_REST_SECONDS)
            done = sum(line["kind"] == "delivery" for line in first[0]) >= deliveries
            return first if done and list(map(len, self._lines(since_ms))) == list(map(len, first)) else []

        lanes, events = eventually(rested, deadline_seconds=_DEADLINE_SECONDS)
        calls = [line for line in lanes if line["kind"] == "delivery"]
        messages = [line for line in lanes + events if line["kind"] != "delivery"]
        return Work(
            wakes=len(lanes) - len(calls),
            events=sum(line["kind"] == "message" for line in events),
            event_trips=_trips(events),
            lane_trips=_trips(lanes) - _trips(calls),
            delivery_trips=_trips(calls),
            lambda_ms=sum(line["durationMs"] for line in messages),
        )

    def _lines(self, since_ms: int) -> list[list[dict[str, Any]]]:
        """Return the log records of lanes' workers, and of the workers of events."""
        found, pages = [], self._stack.client("logs").get_paginator("filter_log_events")
        for function in ("webhook", "event"):
            group = f"/aws/lambda/holdfast-{self._stack.stage}-{function}"
            events = [
                each for page in pages.paginate(logGroupName=group, startTime=since_ms) for each in page["events"]
            ]
            lines = [json.loads(each["message"]) for each in events if each["message"].startswith("{")]
            found.append([line for line in lines if "storeRoundTrips" in line])
        return found


def _trips(lines: Sequence[dict[str, Any]]) -> int:
    return sum(line["storeRoundTrips"] for line in lines)


def _healthy(number: int) -> list[str]:
    return [f"/{place}" for place in range(number)]


def _rate(number: int, found: Measured) -> list[str]:
    p50, base = percentile(found.single_ms, 50), percentile(found.bare.ms, 50)
    ratio = f"{found.per_second / found.bare.per_second:.3f}"
    figures = [f"{found.per_second:.1f}", f"{found.bare.per_second:.0f}", ratio]
    times = [f"{p50:.0f}", f"{percentile(found.single_ms, 99):.0f}", f"{base:.1f}", f"{p50 / base:.1f}"]
    return [str(number), str(found.deliveries), *figures, *times]


def _neighbours(alone: Sequence[float], beside: Sequence[float]) -> list[list[str]]:
    base, rows = percentile(alone, 99), []
    for name, times in (("nothing", alone), ("one hanging, one failing", beside)):
        p99 = percentile(times, 99)
        kept = "yes" if p99 <= _HELD_TO * base else "no"
        rows.append([name, f"{percentile(times, 50):.0f}", f"{p99:.0f}", f"{p99 / base:.2f}", f"{_HELD_TO}", kept])
    return rows


#: Claim, finish and count of an event that comes alone (docs/costs.md); in a batch of ten they are 4.2.
_EVENT_UNITS = 5
#: A message is sent, received and deleted: each a request of its own at most.
_REQUESTS = 3


def _cost(number: int, found: Measured) -> list[str]:
    work, deliveries = found.work, found.deliveries
    trips = [count / deliveries for count in (work.event_trips, work.lane_trips, work.delivery_trips)]
    # A token of a busy rate is one write unit.
    units = (deliveries + work.events * _EVENT_UNITS) / deliveries
    requests = (work.wakes + work.events) * _REQUESTS / deliveries
    figures = [f"{work.wakes / deliveries:.2f}", f"{units * _MILLION:,.0f}", f"{requests * _MILLION:,.0f}"]
    return [
        str(number),
        *(f"{each:.1f}" for each in (sum(trips), *trips)),
        *figures,
        f"{work.lambda_ms / deliveries:.1f}",
    ]
