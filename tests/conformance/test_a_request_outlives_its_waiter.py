"""A request outlives the process that holds its caller.

Shown by killing the process while a caller waits.
"""

import os
import signal
from functools import partial

import pytest

from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.approvals import pending, read_request, request_path, waiting
from tests.support.client import Client, json_of, problem_of
from tests.support.stack import STAGE, NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack


def test_a_request_whose_waiter_was_killed_can_be_read_and_answered(
    stack: Stack, admin: Client, person: NewPerson, figure: Figure
) -> None:
    caller, asked_one = person("service"), person()
    rounds = times(10)
    for _ in range(rounds):
        # Given a waiting caller
        with waiting(partial(caller.client.post, "/send-notification", {"username": asked_one.username})) as call:
            (request_id,) = pending(asked_one.client, asked_one.username)
            # When the process that holds the call is killed
            _kill_waiters(stack)
            # Then the caller gets 502
            problem_of(call.result(timeout=10), 502)
        # And a second caller may wait for the request, which can be answered
        with waiting(partial(caller.client.get, request_path(request_id) + "?waitMs=20000")) as again:
            json_of(asked_one.client.post(request_path(request_id, "resolve"), {"action": "approve"}))
            assert json_of(again.result())["action"] == "approve"
    figure("waiters killed", f"{rounds}, every request answered afterwards")


def test_a_request_whose_waiter_was_killed_times_out_on_time(stack: Stack, admin: Client, person: NewPerson) -> None:
    username = person().username
    question = {"username": username, "timeoutMs": 2000}
    with waiting(partial(admin.post, "/send-notification", question)) as call:
        (request_id,) = pending(admin, username)
        _kill_waiters(stack)
        problem_of(call.result(timeout=10), 502)
    document = eventually(lambda: found if (found := read_request(admin, request_id))["status"] != "pending" else None)
    assert document["status"] == "timeout"
    assert document["resolvedAt"] == document["expiresAt"]
    problem_of(admin.post(request_path(request_id, "resolve"), {"action": "approve"}), 409)


def _kill_waiters(stack: Stack) -> None:
    pids = stack.workers(f"holdfast-{STAGE}-wait")
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
