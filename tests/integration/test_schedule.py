"""Every minute a function of its own finishes what was left half-done, and every hour one compares."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.runtime import ids
from infra.local.stack import Stack
from tests.support.approvals import create_request, read_request, timed_out_request
from tests.support.client import Client, json_of, problem_of
from tests.support.stack import STAGE, NewPerson

pytestmark = pytest.mark.stack

EVENT = Path(__file__).parent.parent / "events/sweep.json"


def _swept(stack: Stack) -> dict[str, Any]:
    """Invoke the sweep as the schedule does; return its log line."""
    answer = stack.client("lambda").invoke(
        FunctionName=f"holdfast-{STAGE}-sweep", LogType="Tail", Payload=EVENT.read_bytes()
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    (line,) = (json.loads(text) for text in lines if text.startswith("{"))
    found: dict[str, Any] = line
    return found


def test_the_schedules_stand(stack: Stack) -> None:
    events = stack.client("events")
    found = {}
    for rule in events.list_rules()["Rules"]:
        if rule["Name"].startswith(f"holdfast-{STAGE}-"):
            (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            found[target["Arn"].rpartition(":")[2]] = (rule["ScheduleExpression"], rule["State"])
    assert found == {
        f"holdfast-{STAGE}-sweep": ("rate(1 minute)", "ENABLED"),
        f"holdfast-{STAGE}-reconcile": ("rate(1 hour)", "ENABLED"),
    }


@pytest.mark.usefixtures("unswept")
def test_what_stops_the_sweep_leaves_the_other_schedule_alone(stack: Stack) -> None:
    rules = {rule["ScheduleExpression"]: rule["State"] for rule in stack.client("events").list_rules()["Rules"]}
    assert rules == {"rate(1 minute)": "DISABLED", "rate(1 hour)": "ENABLED"}


@pytest.mark.usefixtures("unswept")
def test_what_nobody_waited_for_is_recorded_as_timed_out_once(
    stack: Stack, admin: Client, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    # Given a request that became overdue unseen, and one that did not
    username = person().username
    late, alive = create_request(admin, username, timeoutMs=1000), create_request(admin, username, timeoutMs=60_000)
    seen = timed_out_request(admin, username)
    # When the schedule comes by twice
    first, second = _swept(stack), _swept(stack)
    # Then its state is recorded, and readers see what they saw before
    assert (database.approvals.find_one({"_id": late}) or {})["status"] == "timeout"
    assert read_request(admin, late) == seen
    assert read_request(admin, alive)["status"] == "pending"
    # And the log says how many
    assert first["kind"] == "sweep"
    assert first["approvalsTimedOut"] >= 1
    assert second["approvalsTimedOut"] == 0
    assert "sweepsFailed" not in first | second


def test_a_change_whose_process_died_is_finished_by_the_sweep(
    stack: Stack, admin: Client, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    # Given a deletion that was written and went no further
    who = person()
    stack.client("dynamodb").update_item(
        TableName=f"holdfast-{STAGE}-users",
        Key={"pk": {"S": f"user#{who.username}"}},
        UpdateExpression="SET gone = :gone, epoch = :epoch, dismiss = :due REMOVE kind",
        ExpressionAttributeValues={":gone": {"BOOL": True}, ":epoch": {"S": ids.new_id()}, ":due": {"S": "due"}},
    )
    # When the schedule comes by
    assert _swept(stack)["users"] >= 1
    # Then the sessions are over and the name is free
    problem_of(who.client.get("/api/sessions/current"), 401)
    assert database.sessions.count_documents({"username": who.username}) == 0
    new = {"username": who.username, "password": who.password, "roles": ["user"]}
    json_of(admin.post("/api/users", new), 201)
