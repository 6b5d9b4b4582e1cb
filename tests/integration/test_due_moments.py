"""A due moment is met within two seconds, although the sweep runs once a minute."""

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
    later = {"$add": ["$createdAt", 15_000]}
    entry = {"effect": "escalate-0", "due": later}
    database.approvals.update_one({"_id": request_id}, [{"$set": {"outbox": [entry]}}])
    # When the sweep runs twice before the due moment
    holds = [_hold_after_sweep(stack, database, request_id) for _ in range(2)]
    # Then the escalation was dispatched once, and came at its due moment
    assert holds[0]
    assert holds[0] == holds[1]
    _assert_escalated(admin, request_id, next_.username, after=timedelta(seconds=15))


def _assert_escalated(caller: Client, request_id: str, username: str, after: timedelta) -> None:
    """Wait for the escalation to *username*, and assert that it came in time."""

    def found() -> Any:
        document = json_of(caller.get(request_path(request_id)))
        return document if username in document["approvers"] else None

    document = eventually(found)
    late = datetime.now(UTC) - (datetime.fromisoformat(document["createdAt"]) + after)
    assert timedelta(0) <= late <= WITHIN


def _hold_after_sweep(stack: Stack, database: Database[dict[str, Any]], request_id: str) -> Any:
    """Invoke the sweep as the schedule does; return until when the request's entry is held, set by each dispatch.

    The number of effects in the sweep's log record is that of all requests: a worker of another test may be late.
    """
    answer = stack.client("lambda").invoke(FunctionName=f"holdfast-{STAGE}-sweep", Payload=EVENT.read_bytes())
    assert "FunctionError" not in answer
    ((entry,),) = (found["outbox"] for found in database.approvals.find({"_id": request_id}))
    return entry.get("heldUntil")
