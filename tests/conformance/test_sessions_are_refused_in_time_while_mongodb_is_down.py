"""While MongoDB is down, callers with a session get 503 with `Retry-After` within 3 s. Their session outlives the
outage.

Shown by calls of every kind while mongod is killed or paused.
"""

import json
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import requests

from infra.local.processes.mongod import Mongod
from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.support.approvals import APPROVALS, create_request, request_path
from tests.support.client import Client, Person, at_once, json_of, problem_of
from tests.support.server import ServeProcess
from tests.support.stack import STAGE, NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

#: The promised limit, and an allowance for the network.
PROMISED_MS, ON_THE_WAY_SECONDS = 3_000, 5
#: Drivers keep their deadlines by a clock that goes on while a busy machine lets the process wait.
BUSY = 1.5
#: A call of a busy machine may wait for its core several times while a warm call without an outage waits once.
WAITS = 4

#: A call that returns its status and how many seconds it took.
Timed = Callable[[], tuple[int, float]]


@pytest.fixture
def busy_seconds() -> list[float]:
    """What this machine adds to the time of a call, measured by `down` while mongod is still up."""
    return []


@pytest.fixture(params=["killed", "paused"])
def down(request: pytest.FixtureRequest, mongod: Mongod, person: NewPerson, busy_seconds: list[float]) -> Person:
    """A user with a session and warm processes, while mongod is down; the fixture `mongod` restores the database."""
    who = person("service", "user")
    # As many warm processes as concurrent calls, as cold starts are no part of the promise.
    for _ in range(2):
        json_of(who.client.get(request_path(create_request(who.client, who.username))))
        at_once([partial(who.client.get, APPROVALS)] * 7)
    began = monotonic()
    at_once([partial(who.client.get, APPROVALS)] * 7)
    busy_seconds.append((monotonic() - began) * WAITS)
    if request.param == "killed":
        mongod.kill()
    else:
        os.kill(mongod.pid, signal.SIGSTOP)
    return who


def test_callers_with_a_session_get_503_in_time(
    stack: Stack, down: Person, figure: Figure, request: pytest.FixtureRequest, busy_seconds: list[float]
) -> None:
    (busy,) = busy_seconds
    calls: list[tuple[str, str, Any]] = [
        ("GET", "/api/sessions/current", None),
        ("GET", APPROVALS, None),
        ("GET", request_path("01ARZ3NDEKTSV4RRFFQ69G5FAV") + "?waitMs=20000", None),
        ("POST", "/send-notification", {"username": down.username}),
        ("POST", request_path("01ARZ3NDEKTSV4RRFFQ69G5FAV", "resolve"), {"action": "approve"}),
        ("POST", "/api/sessions", {"username": down.username, "password": down.password}),
        ("DELETE", "/api/sessions/current", None),
    ]
    # All at once, as callers must not wait for a store that is down one after another.
    timed = at_once([partial(_timed, down.client, *call) for call in calls])
    slowest_ms = max(_logged(stack, refused_answer)["durationMs"] for refused_answer, _ in timed)
    figure(f"slowest refusal, mongod {request.node.callspec.params['down']}", f"{slowest_ms:.0f} ms")
    assert slowest_ms < PROMISED_MS * BUSY + busy * 1000
    assert max(seconds for _, seconds in timed) < PROMISED_MS / 1000 + ON_THE_WAY_SECONDS + busy


def _timed(client: Client, method: str, path: str, body: Any) -> tuple[requests.Response, float]:
    began = monotonic()
    answer = client.call(method, path, body)
    problem_of(answer, 503)
    return answer, monotonic() - began


@pytest.fixture(params=["functions", "serve"])
def everyone(
    request: pytest.FixtureRequest, stack: Stack, person: NewPerson, admin: Client, tmp_path: Path
) -> Iterator[list[tuple[int, Timed]]]:
    """Twenty callers with a session, and twenty with an API key, who need DynamoDB alone; with the status of each."""
    who = person("service", "admin")
    key = json_of(admin.post(f"/api/users/{who.username}/keys", {"name": "batch"}), 201)["key"]
    with ServeProcess(stack, tmp_path) as served:
        url = stack.url if request.param == "functions" else served.url
        refused = partial(_timed_status, who.client.at(url), "/api/sessions")
        answered = partial(_timed_status, Client(url, key), f"/api/users/{who.username}")
        yield [(503, refused), (200, answered)] * 20


def test_forty_callers_are_refused_or_served_in_time(
    everyone: list[tuple[int, Timed]], mongod: Mongod, figure: Figure, request: pytest.FixtureRequest
) -> None:
    # Given warm processes
    for _ in range(3):
        at_once([call for _, call in everyone])
    # When mongod is paused, and all call again and again
    os.kill(mongod.pid, signal.SIGSTOP)
    slowest: list[dict[int, float]] = []
    for _ in range(4):
        answers = at_once([call for _, call in everyone])
        assert [status for status, _ in answers] == [status for status, _ in everyone]
        slowest.append({status: max(took for found, took in answers if found == status) for status in (503, 200)})
    # Then those with a session are refused in time, and the others wait for doomed calls once at most
    said = "; ".join(f"{times[503]:.1f} and {times[200]:.1f} s" for times in slowest)
    by = request.node.callspec.params["everyone"]
    figure(f"slowest of 20 refusals and of 20 answers to API keys, four rounds, {by}", said)
    assert max(times[503] for times in slowest) < PROMISED_MS / 1000 + ON_THE_WAY_SECONDS
    assert max(times[200] for times in slowest[1:]) < PROMISED_MS * BUSY / 1000


def _timed_status(client: Client, path: str) -> tuple[int, float]:
    began = monotonic()
    status = client.get(path).status_code
    return status, monotonic() - began


def test_ready_names_the_store_that_is_down_and_health_is_ok(stack: Stack, down: Person) -> None:
    anyone = Client(stack.url)
    answer = anyone.get("/ready")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    ready = answer.json()
    assert ready["status"] == "degraded"
    assert {name: store["ok"] for name, store in ready["stores"].items()} == {"mongodb": False, "dynamodb": True}
    assert _logged(stack, answer)["durationMs"] < PROMISED_MS * BUSY
    assert json_of(anyone.get("/health"))["status"] == "ok"


def test_a_session_outlives_the_outage(mongod: Mongod, down: Person) -> None:
    problem_of(down.client.get("/api/sessions/current"), 503)
    if mongod.child.alive:
        os.kill(mongod.pid, signal.SIGCONT)
    else:
        mongod.restart()
    found = eventually(lambda: answer if (answer := down.client.get(APPROVALS)).status_code == 200 else None)
    assert len(json_of(found)["items"]) == 2


def _logged(stack: Stack, answer: requests.Response) -> dict[str, Any]:
    """Return the log line of the process that gave *answer*."""
    request_id, logs = answer.headers["X-Request-Id"], stack.client("logs")

    def line() -> dict[str, Any] | None:
        for function in ("api",):
            found = logs.filter_log_events(
                logGroupName=f"/aws/lambda/holdfast-{STAGE}-{function}", filterPattern=f'"{request_id}"'
            )
            for event in found["events"]:
                fields: dict[str, Any] = json.loads(event["message"])
                if fields.get("kind") == "request":
                    return fields
        return None

    return eventually(line)
