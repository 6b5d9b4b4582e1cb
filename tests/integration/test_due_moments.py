"""A due moment is met within two seconds, although the sweep runs once a minute."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from infra.local.stack import Stack
from tests.support.approvals import create_request, request_path
from tests.support.client import Client, json_of
from tests.support.receiver import Receiver, receiving
from tests.support.stack import STAGE, NewPerson
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("unswept")]

EVENT = Path(__file__).parents[1] / "events/sweep.json"
#: SQS delays by whole seconds, and the emulator polls twice a second.
WITHIN = timedelta(seconds=2)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def warm(receiver: Receiver, person: NewPerson) -> None:
    """Start the workers of due moments and of callbacks first, as a cold start is not measured here."""
    create_request(person("service").client, person().username, timeoutMs=1_000, callbackUrl=receiver.url)
    eventually(lambda: receiver.received)
    receiver.received.clear()


def test_a_timeout_without_a_waiter_is_called_back_on_time(
    receiver: Receiver, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    # Given
    caller = person("service").client
    request_id = create_request(caller, person().username, timeoutMs=3_000, callbackUrl=receiver.url)
    # When no answer, no reader and no sweep comes
    found = eventually(lambda: database.approvals.find_one({"_id": request_id, "status": "timeout"}))
    # Then the timeout is recorded in time, and the callback follows
    assert timedelta(0) <= datetime.now(UTC) - found["expiresAt"] <= WITHIN
    (call,) = eventually(lambda: receiver.received)
    assert call.event["type"] == "approval.timeout"


def test_an_escalation_within_the_horizon_needs_no_sweep(admin: Client, person: NewPerson) -> None:
    asked_first, next_ = person(), person()
    request_id = create_request(
        admin, asked_first.username, timeoutMs=60_000, escalateTo=[{"username": next_.username, "afterMs": 2_000}]
    )
    _assert_escalated(admin, request_id, next_.username, after=timedelta(seconds=2))


def test_an_escalation_dispatched_ahead_by_the_sweep_is_on_time(
    stack: Stack, admin: Client, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    # Given an escalation that was beyond the horizon at creation, and is near now
    asked_first, next_ = person(), person()
    request_id = create_request(
        admin, asked_first.username, timeoutMs=600_000, escalateTo=[{"username": next_.username, "afterMs": 300_000}]
    )
    later = {"$add": ["$createdAt", 5_000]}
    entry = {"effect": "escalate-0", "due": later}
    database.approvals.update_one({"_id": request_id}, [{"$set": {"outbox": [entry]}}])
    # When the sweep runs twice before the due moment
    swept = [_swept(stack)["effectsSwept"] for _ in range(2)]
    # Then the escalation was dispatched once, and came at its due moment
    assert swept == [1, 0]
    _assert_escalated(admin, request_id, next_.username, after=timedelta(seconds=5))


def _assert_escalated(caller: Client, request_id: str, username: str, after: timedelta) -> None:
    """Wait for the escalation to *username*, and assert that it came in time."""

    def found() -> Any:
        document = json_of(caller.get(request_path(request_id)))
        return document if username in document["approvers"] else None

    document = eventually(found)
    late = datetime.now(UTC) - (datetime.fromisoformat(document["createdAt"]) + after)
    assert timedelta(0) <= late <= WITHIN


def _swept(stack: Stack) -> dict[str, Any]:
    """Invoke the sweep as the schedule does; return its log record."""
    answer = stack.client("lambda").invoke(
        FunctionName=f"holdfast-{STAGE}-sweep", LogType="Tail", Payload=EVENT.read_bytes()
    )
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    (line,) = (json.loads(text) for text in lines if text.startswith("{"))
    found: dict[str, Any] = line
    return found
