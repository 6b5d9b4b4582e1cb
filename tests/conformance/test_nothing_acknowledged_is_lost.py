"""A change that was acknowledged is kept, also when MongoDB is killed right after it.

Shown by working callers while mongod is killed and restarted.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import requests

from infra.local.processes.mongod import Mongod
from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.approvals import create_request, pending, read_request, request_path
from tests.support.client import Client, at_once, json_of, problem_of
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack


class Workload:
    """Callers who ask and answer without a pause, and the states that the API acknowledged."""

    def __init__(self, caller: Client, username: str) -> None:
        self._caller, self._username = caller, username
        self._over = threading.Event()
        self.acknowledged: dict[str, str] = {}
        self.refusals = 0

    def __enter__(self) -> "Workload":
        self._pool = ThreadPoolExecutor(2)
        self._running = [self._pool.submit(self._run) for _ in range(2)]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        for running in self._running:
            running.result()

    def has(self, acknowledged: int = 0, refusals: int = 0) -> bool:
        """Tell whether so many requests were acknowledged, and so many calls refused."""
        return len(self.acknowledged) >= acknowledged and self.refusals >= refusals

    def _run(self) -> None:
        while not self._over.is_set():
            new = {"username": self._username, "wait": False, "timeoutMs": 600_000}
            accepted = self._acknowledged(self._caller.post("/send-notification", new), 202)
            if accepted is None:
                continue
            request_id = accepted["requestId"]
            self.acknowledged[request_id] = "pending"
            answer = self._acknowledged(
                self._caller.post(request_path(request_id, "resolve"), {"action": "approve"}), 200
            )
            # Without an acknowledgement the answer may be stored or not; both are correct.
            self.acknowledged[request_id] = "resolved" if answer else "pending or resolved"

    def _acknowledged(self, answer: requests.Response, status: int) -> Any:
        if answer.status_code == status:
            return answer.json()
        _refused(answer)
        self.refusals += 1
        return None


def test_acknowledged_changes_survive_a_kill_of_mongod(
    stack: Stack, admin: Client, person: NewPerson, mongod: Mongod, figure: Figure
) -> None:
    rounds, heard, kept, refusals = times(10), 0, 0, 0
    for _ in range(rounds):
        caller, asked_one, worker = person("service"), person(), person()
        question = {"username": asked_one.username}
        # Ten warm processes first, so that no cold start uses up a caller's time.
        warm = request_path(create_request(caller.client, worker.username, timeoutMs=60_000)) + "?waitMs=1000"
        at_once([partial(caller.client.get, warm)] * 10)
        with ThreadPoolExecutor(10) as pool:
            # Given ten waiting callers, and working callers
            calls = [pool.submit(caller.client.post, "/send-notification", question) for _ in range(10)]
            waited = pending(admin, asked_one.username, 10)
            with Workload(admin, worker.username) as work:
                eventually(partial(work.has, acknowledged=10))
                # When mongod is killed, calls are refused, and mongod is restarted
                mongod.kill()
                eventually(partial(work.has, refusals=1))
                mongod.restart()
                eventually(partial(work.has, acknowledged=len(work.acknowledged) + 10))
            # Then each waiting caller has an answer or a clean refusal
            for request_id in waited:
                _repeat(partial(admin.post, request_path(request_id, "resolve"), {"action": "approve"}))
            outcomes = [outcome for call in calls if (outcome := _outcome(call.result()))]
        # And every acknowledged state is there
        for request_id, state in work.acknowledged.items():
            assert read_request(admin, request_id)["status"] in state.split(" or ")
        settled = {request_id: read_request(admin, request_id)["status"] for request_id in waited}
        # On a busy machine, the deadline may pass before the answer.
        assert set(settled.values()) <= {"resolved", "timeout"}
        assert all(settled[outcome["requestId"]] == outcome["status"] for outcome in outcomes)
        heard += len([outcome for outcome in outcomes if outcome["status"] == "resolved"])
        kept, refusals = kept + len(work.acknowledged), refusals + work.refusals
    figure(
        "mongod killed and restarted",
        f"{rounds} times; {heard} of {10 * rounds} waiting callers heard the answer, the others 503; "
        f"{kept} acknowledged requests, none lost; {refusals} calls refused with 503",
    )


def _repeat(call: Callable[[], requests.Response]) -> None:
    """Repeat *call* until it succeeds; 409 shows that an earlier try succeeded."""
    eventually(lambda: call().status_code in {200, 409})


def _refused(answer: requests.Response) -> None:
    """Fail unless *answer* is the refusal of a store that is down, or of a gateway that waited too long for a place."""
    problem_of(answer, 504 if answer.status_code == 504 else 503)


def _outcome(answer: requests.Response) -> dict[str, Any] | None:
    """Return the outcome that a waiting caller got; None stands for a refusal."""
    if answer.status_code >= 500:
        _refused(answer)
        return None
    outcome: dict[str, Any] = json_of(answer)
    return outcome
