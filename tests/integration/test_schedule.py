"""The schedules: a sweep every minute, and a reconciliation pass every hour."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.runtime import ids
from infra.local.stack import Stack
from tests.support.approvals import create_request, read_request
from tests.support.client import Client, json_of, problem_of
from tests.support.stack import STAGE, NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

EVENT = Path(__file__).parent.parent / "events/sweep.json"


def _swept(stack: Stack) -> dict[str, Any]:
    """Invoke the sweep as the schedule does; return its log record."""
    answer = stack.client("lambda").invoke(
        FunctionName=f"holdfast-{STAGE}-sweep", LogType="Tail", Payload=EVENT.read_bytes()
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    # The first sweep of a day also reports on messages.
    records: list[dict[str, Any]] = [json.loads(text) for text in lines if text.startswith("{")]
    (found,) = (record for record in records if record["kind"] == "sweep")
    return found


def test_the_schedules_are_deployed_and_enabled(stack: Stack) -> None:
    events = stack.client("events")
    found = {}
    # The other rule follows the events of SES.
    for rule in events.list_rules()["Rules"]:
        if rule["Name"].startswith(f"holdfast-{STAGE}-") and "ScheduleExpression" in rule:
            (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            found[target["Arn"].rpartition(":")[2]] = (rule["ScheduleExpression"], rule["State"])
    assert found == {
        f"holdfast-{STAGE}-sweep": ("rate(1 minute)", "ENABLED"),
        f"holdfast-{STAGE}-reconcile": ("rate(1 hour)", "ENABLED"),
    }


@pytest.mark.usefixtures("unswept")
def test_disabling_the_sweep_leaves_reconcile_enabled(stack: Stack) -> None:
    found = stack.client("events").list_rules()["Rules"]
    rules = {rule["ScheduleExpression"]: rule["State"] for rule in found if "ScheduleExpression" in rule}
    assert rules == {"rate(1 minute)": "DISABLED", "rate(1 hour)": "ENABLED"}


@pytest.mark.usefixtures("unswept")
def test_the_sweep_records_a_timeout_once(
    stack: Stack, admin: Client, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    # Given an overdue request, and a request in time
    username = person().username
    late, alive = [create_request(admin, username, timeoutMs=600_000) for _ in range(2)]
    # The worker of pushes must have read the request before: a read after its time records the timeout.
    eventually(lambda: (database.approvals.find_one({"_id": late}) or {})["outbox"] == [])
    database.approvals.update_one({"_id": late}, {"$set": {"expiresAt": datetime.now(UTC)}})
    # When the sweep runs twice
    first, second = _swept(stack), _swept(stack)
    # Then the timeout is recorded as of its moment
    assert (database.approvals.find_one({"_id": late}) or {})["status"] == "timeout"
    seen = read_request(admin, late)
    assert (seen["status"], seen["resolvedAt"]) == ("timeout", seen["expiresAt"])
    assert read_request(admin, alive)["status"] == "pending"
    # And the log record counts the timeouts
    assert first["kind"] == "sweep"
    assert first["approvalsTimedOut"] >= 1
    assert second["approvalsTimedOut"] == 0
    assert "sweepsFailed" not in first | second


def test_the_sweep_finishes_an_interrupted_deletion_of_a_user(
    stack: Stack, admin: Client, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    # Given a deletion whose process died after the write
    who = person()
    stack.client("dynamodb").update_item(
        TableName=f"holdfast-{STAGE}-users",
        Key={"pk": {"S": f"user#{who.username}"}},
        UpdateExpression="SET gone = :gone, epoch = :epoch, dismiss = :due REMOVE kind",
        ExpressionAttributeValues={":gone": {"BOOL": True}, ":epoch": {"S": ids.new_id()}, ":due": {"S": "due"}},
    )
    # When the sweep runs
    assert _swept(stack)["users"] >= 1
    # Then the sessions have ended and the name is free
    problem_of(who.client.get("/api/sessions/current"), 401)
    assert database.sessions.count_documents({"username": who.username}) == 0
    new = {"username": who.username, "password": who.password, "roles": ["user"]}
    json_of(admin.post("/api/users", new), 201)
