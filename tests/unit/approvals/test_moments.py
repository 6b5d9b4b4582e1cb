"""Escalations come at their moment by MongoDB's clock: not after, not before, whatever the clocks of processes say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chalice.app import SQSEvent
from moto.backends import get_backend
from pymongo.database import Database

from chalicelib.approvals import outbox, worker
from chalicelib.approvals import wiring as approvals_wiring
from chalicelib.approvals.queues import APPROVAL, Task
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.queueing import outbox as core_outbox
from tests.support.gateway import Context
from tests.support.queue import record
from tests.unit.approvals.build import PERSON, put
from tests.unit.conftest import STAGE

Mongo = Database[dict[str, Any]]
HOUR_MS = 3_600_000

pytestmark = pytest.mark.usefixtures("dynamodb", "mail")


def escalated_after(approvals: ApprovalStore, after_ms: int, timeout_ms: int = 2 * HOUR_MS) -> str:
    """Put a question that is escalated to eve, and dispatch what is near."""
    steps = [{"username": "eve", "afterMs": after_ms}]
    request_id = put(approvals, timeout_ms, timeoutMs=timeout_ms, escalate_to=steps)
    outbox.dispatch(approvals.get(request_id))
    return request_id


def move_due(mongodb: Mongo, request_id: str, in_seconds: float) -> None:
    """Set the moments of the request so that its escalation is due in *in_seconds*."""
    found = mongodb.approvals.find_one({"_id": request_id})
    assert found is not None
    (due,) = [each["due"] for each in found["outbox"] if each["effect"] == "escalate-0"]
    by_ms = round((due - datetime.now(UTC)).total_seconds() * 1000 - in_seconds * 1000)
    earlier = {name: {"$subtract": [f"${name}", by_ms]} for name in ("createdAt", "expiresAt")}
    entry = {"$mergeObjects": ["$$this", {"due": {"$subtract": ["$$this.due", by_ms]}}]}
    mongodb.approvals.update_one(
        {"_id": request_id}, [{"$set": {**earlier, "outbox": {"$map": {"input": "$outbox", "in": entry}}}}]
    )


def delays(effect: str) -> list[float]:
    """Return the seconds for which SQS still holds each message of *effect*; only moto's own state shows them."""
    queue = get_backend("sqs")["123456789012"]["us-east-1"].queues[f"holdfast-{STAGE}-{APPROVAL.name}"]
    now = datetime.now(UTC).timestamp() * 1000
    return [(each.delayed_until - now) / 1000 for each in queue._messages if effect in each.body]


def work(request_id: str, effect: str) -> list[str]:
    """Deliver the message of *effect*; return the ids of messages to deliver again."""
    body = Task(request_id=request_id, effect=effect).model_dump_json()
    context: Any = Context(50_000)
    answered = worker.work(SQSEvent({"Records": [{**record("x", "m-1"), "body": body}]}, context))
    return [failure["itemIdentifier"] for failure in answered["batchItemFailures"]]


def skewed(monkeypatch: pytest.MonkeyPatch, **by: float) -> None:
    """Let the clock of this process differ from MongoDB's by *by*."""

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(**by)

    monkeypatch.setattr(core_outbox, "datetime", Skewed)


def test_an_escalation_hours_ahead_is_dispatched_before_its_moment(approvals: ApprovalStore, mongodb: Mongo) -> None:
    request_id = escalated_after(approvals, HOUR_MS)
    move_due(mongodb, request_id, in_seconds=65)
    assert worker.sweep() == 0
    (delay,) = delays("escalate-0")
    assert 60 < delay <= 66


def test_an_escalation_in_the_last_minute_comes_before_the_timeout(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given an escalation 20 s before the timeout
    request_id = escalated_after(approvals, HOUR_MS - 20_000, HOUR_MS)
    move_due(mongodb, request_id, in_seconds=30)
    worker.sweep()
    (delay,) = delays("escalate-0")
    assert delay <= 31
    # When its moment comes
    move_due(mongodb, request_id, in_seconds=-1)
    assert work(request_id, "escalate-0") == []
    # Then
    assert approvals.get(request_id).approval.approvers == [PERSON, "eve"]


def test_a_message_before_the_moment_escalates_nothing(approvals: ApprovalStore, mongodb: Mongo) -> None:
    request_id = escalated_after(approvals, HOUR_MS)
    assert work(request_id, "escalate-0") == ["m-1"]
    assert approvals.get(request_id).approval.approvers == [PERSON]
    move_due(mongodb, request_id, in_seconds=-1)
    assert work(request_id, "escalate-0") == []
    assert approvals.get(request_id).approval.approvers == [PERSON, "eve"]


@pytest.mark.parametrize("minutes", [5, -5])
def test_a_sweep_with_a_wrong_clock_dispatches_at_the_servers_time(
    approvals: ApprovalStore, mongodb: Mongo, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    # Given an escalation in a minute, and one in three
    near, far = escalated_after(approvals, HOUR_MS), escalated_after(approvals, HOUR_MS)
    move_due(mongodb, near, in_seconds=60)
    move_due(mongodb, far, in_seconds=180)
    # When
    skewed(monkeypatch, minutes=minutes)
    approvals_wiring.outbox().sweep()
    # Then
    (delay,) = delays("escalate-0")
    assert 55 < delay <= 61
