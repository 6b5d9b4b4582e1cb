"""An answer is called back, also when the process that recorded the answer died right after it.

Shown by killing the process as soon as the answer is stored. No process dies during a callback here, so every callback
is made once.
"""

import os
import signal
import threading
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from pymongo.database import Database

from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.approvals import request_path
from tests.support.client import json_of
from tests.support.receiver import receiving
from tests.support.stack import STAGE, NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

Mongo = Database[dict[str, Any]]


def test_an_answer_of_a_killed_process_is_called_back_once(
    stack: Stack, person: NewPerson, database: Mongo, figure: Figure
) -> None:
    # Given
    caller, asked = person("service"), person()
    with receiving() as receiver:
        question = {"username": asked.username, "wait": False, "timeoutMs": 3_600_000, "callbackUrl": receiver.url}
        requests = [
            json_of(caller.client.post("/send-notification", question), 202)["requestId"] for _ in range(times(100))
        ]
        # When
        cut_off = sum(_answered_and_killed(stack, database, asked.client.post, request_id) for request_id in requests)
        # Then
        answered = {document["_id"] for document in database.approvals.find({"status": "resolved"}, {"_id": 1})}
        assert set(requests) <= answered
        eventually(
            lambda: set(requests) <= {call.event["data"]["requestId"] for call in receiver.received},
            deadline_seconds=150,
            every_seconds=0.5,
        )
        calls = [call.event["data"]["requestId"] for call in receiver.received]
    figure("answers cut off", f"{cut_off} of {len(requests)}, {len(calls)} callbacks for {len(set(calls))} answers")
    # No process died during a callback, so each was made once, although sweeps dispatched some again.
    assert sorted(calls) == sorted(requests)


def _answered_and_killed(stack: Stack, database: Mongo, post: Any, request_id: str) -> bool:
    """Answer, kill the process as soon as the answer is stored, and return whether the response was cut off."""
    # The worker's removal of the entry `notify` may be the request's first change.
    answered = [{"updateDescription.updatedFields.status": "resolved"}, {"fullDocument.status": "resolved"}]
    with database.approvals.watch([{"$match": {"documentKey._id": request_id, "$or": answered}}]) as changes:
        killer = threading.Thread(target=partial(_kill_after, changes, stack))
        killer.start()
        status = post(request_path(request_id, "resolve"), {"action": "approve"}).status_code
        killer.join()
    return bool(status != 200)


def _kill_after(changes: Any, stack: Stack) -> None:
    pids = stack.workers(f"holdfast-{STAGE}-api")
    changes.next()
    for pid in pids or stack.workers(f"holdfast-{STAGE}-api"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
