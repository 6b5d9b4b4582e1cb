"""An answer is called back, also when the process that recorded the answer died right after it.

Shown by killing the process as soon as the answer is stored. No process dies during a callback here, so each is made
once.
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


def test_an_answer_whose_process_died_right_after_it_is_called_back_once(
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
    # Nobody died in the middle of a callback, so each was made once, although sweeps handed some over again.
    assert sorted(calls) == sorted(requests)


def _answered_and_killed(stack: Stack, database: Mongo, post: Any, request_id: str) -> bool:
    """Answer, and kill the process that does the moment its answer is in the database; whether it was cut off."""
    # The first change of this request may be another: its worker takes away the mark that somebody was to be told.
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
