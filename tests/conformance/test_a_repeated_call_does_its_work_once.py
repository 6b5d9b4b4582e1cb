"""A call that is made again under its `Idempotency-Key` does its work once, also when the process of the first call
died.

Shown by killing the process between the work and the answer.
"""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import requests
from pymongo.database import Database

from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.approvals import pending, request_path
from tests.support.client import Client, json_of, problem_of
from tests.support.stack import PASSWORD, STAGE, NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

DEATHS, AT_ONCE = 50, 2
FUNCTIONS = (f"holdfast-{STAGE}-api",)
#: A killed process holds its claim for this long; production's longer lease would make the test take hours.
LEASE_SECONDS = 2.0
#: The outcome of a question after each status of the call that approves it.
_ACTIONS = {200: "approve", 409: "timeout"}


@pytest.fixture(scope="module", autouse=True)
def short_leases(stack: Stack) -> Iterator[None]:
    functions = stack.client("lambda")
    before = {name: functions.get_function_configuration(FunctionName=name)["Environment"] for name in FUNCTIONS}
    for name, environment in before.items():
        variables = environment["Variables"] | {"COORDINATION_CLAIM_LEASE_MS": str(round(LEASE_SECONDS * 1000))}
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    yield
    for name, environment in before.items():
        functions.update_function_configuration(FunctionName=name, Environment=environment)


def test_a_repeated_question_of_a_killed_waiter_is_put_once(
    stack: Stack, admin: Client, person: NewPerson, database: Database[dict[str, Any]], figure: Figure
) -> None:
    killed = 0
    while killed < times(DEATHS):
        people = [person() for _ in range(min(AT_ONCE, times(DEATHS)))]
        asks = [
            partial(_keyed, admin, "/send-notification", {"username": who.username}, f"ask {who.username}")
            for who in people
        ]
        with ThreadPoolExecutor(len(people)) as pool:
            # Given waiting callers, each with a stored question
            first = [pool.submit(ask) for ask in asks]
            ids = [pending(admin, who.username)[0] for who in people]
            # When every process with a waiting caller is killed
            _kill(stack, "api")
            for call in first:
                problem_of(call.result(), 502)
            # And the callers repeat their calls
            again = [pool.submit(_repeat_until_free, ask) for ask in asks]
            given = [
                who.client.post(request_path(request_id, "resolve"), {"action": "approve"}).status_code
                for who, request_id in zip(people, ids, strict=True)
            ]
            # Then each caller gets the outcome of the first question, and no second question exists
            for request_id, status, call in zip(ids, given, again, strict=True):
                outcome = json_of(call.result())
                # New processes may start more slowly than the question lives.
                assert (outcome["requestId"], outcome["action"]) == (request_id, _ACTIONS[status])
        assert database.approvals.count_documents({"username": {"$in": [who.username for who in people]}}) == len(ids)
        killed += len(people)
    figure("waiters killed after they put their question", f"{killed}, every question put once")


def test_a_repeated_creation_by_killed_processes_makes_one_user(stack: Stack, admin: Client, figure: Figure) -> None:
    items, killed, in_between, marker = stack.client("dynamodb"), 0, 0, os.urandom(4).hex()
    while killed < times(DEATHS):
        username = f"u{marker}-{killed}"
        new = {"username": username, "password": PASSWORD, "roles": ["service"]}
        make = partial(_keyed, admin, "/api/users", new, f"make {username}")
        key = {"pk": {"S": f"user#{username}"}}

        def stored(key: Any = key) -> Any:
            return items.get_item(TableName=f"holdfast-{STAGE}-users", Key=key, ConsistentRead=True).get("Item")

        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(make)
            # When the process is killed as soon as the user is stored
            made = eventually(stored, every_seconds=0)
            _kill(stack, "api")
            in_between += first.result().status_code == 502
        # Then the repeated call returns the same user
        answer = json_of(_repeat_until_free(make), 201)
        assert (answer["username"], answer["roles"]) == (username, ["service"])
        assert stored()["epoch"] == made["epoch"]
        killed += 1
    figure("processes killed after they made a user", f"{killed}, {in_between} before they could say so")


def _keyed(client: Client, path: str, body: Any, key: str) -> requests.Response:
    return client.post(path, body, headers={"Idempotency-Key": key.replace(" ", "-")})


def _repeat_until_free(call: Callable[[], requests.Response]) -> requests.Response:
    """Repeat a call until the dead process's claim has expired; return the first answer after that."""

    def free() -> requests.Response | None:
        answer = call()
        # The emulator may give a call to a worker that has just died.
        if answer.status_code not in {409, 502}:
            return answer
        assert answer.status_code == 502 or answer.headers["Retry-After"] == "1"
        return None

    return eventually(free, every_seconds=0.2)


def _kill(stack: Stack, function: str) -> None:
    pids = stack.workers(f"holdfast-{STAGE}-{function}")
    assert pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
