"""Two deployments: the deployed stack marks its database, and touches no lists under another deployment's mark."""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.stores import binding
from chalicelib.core.stores.binding import Deployment
from infra.deployment import database as deployments
from infra.deployment.database import Wanted
from infra.host.processes import Identity
from infra.local.stack import Stack
from infra.operations import running_stack
from infra.operations.running_stack import Run
from tests.integration.test_migrate import started
from tests.support.client import Client, problem_of
from tests.support.records import TrackedRecords
from tests.support.stack import STAGE, NewPerson

pytestmark = pytest.mark.stack

EVENT = Path(__file__).parent.parent / "events/sweep.json"
#: What the other deployment has that this one has not.
COPY = {"_id": "theirs", "version": 1, "live": True}

Mongo = Database[dict[str, Any]]


@pytest.fixture
def foreign(database: Mongo, tracked: TrackedRecords) -> Iterator[Deployment]:
    """Another deployment, whose mark and list the database has while the test runs."""
    ours = binding.mark_of(database)
    assert ours
    other = Deployment("01OTHER", "prod")
    tracked.copies.insert_one(COPY)
    binding.rebind(database, other)
    yield other
    binding.rebind(database, ours)
    tracked.copies.delete_one({"_id": COPY["_id"]})


def test_deployment_marks_its_database_with_the_id_in_its_tables(stack: Stack, database: Mongo) -> None:
    item = stack.client("dynamodb").get_item(
        TableName=f"holdfast-{STAGE}-coordination", Key={"pk": {"S": "deployment"}}, ConsistentRead=True
    )["Item"]
    assert binding.mark_of(database) == Deployment(item["deploymentId"]["S"], STAGE)
    assert item["database"]["S"] == database.name


def test_second_deployment_is_refused_the_marked_database(stack: Stack, foreign: Deployment) -> None:
    with pytest.raises(binding.DatabaseRefused, match=rf"belongs to deployment {foreign.id} \(stage prod\)"):
        deployments.prepare(stack.client, STAGE, Wanted(uri=stack.mongodb_uri))


def test_hourly_reconciliation_empties_no_list_of_another_deployment(
    stack: Stack, foreign: Deployment, tracked: TrackedRecords
) -> None:
    # When the schedule comes by
    answer = stack.client("lambda").invoke(
        FunctionName=f"holdfast-{STAGE}-reconcile", LogType="Tail", Payload=EVENT.read_bytes()
    )
    # Then the list is as it was, and an error says why
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert tracked.copies.find_one({"_id": COPY["_id"]}) == COPY
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    error, line = (json.loads(text) for text in lines if text.startswith("{"))
    assert (error["level"], error["action"]) == ("ERROR", "database_refused")
    assert str(foreign) in error["message"]
    assert line["reconcilesRefused"] == 1


@pytest.mark.parametrize(
    "command", [["reconcile"], ["migrate", "--collection", "sessions"]], ids=["reconcile", "migrate"]
)
def test_command_under_a_foreign_mark_ends_with_a_sentence(
    stack: Stack, foreign: Deployment, tracked: TrackedRecords, tmp_path: Path, command: list[str]
) -> None:
    running_stack.write(tmp_path, Run(Identity.of(os.getpid()), stack.url, stack.environment))
    with started(command[0], tmp_path, *command[1:]) as process:
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"{command[0]}: The MongoDB database holdfast belongs to {foreign}, and this is" in err
    assert tracked.copies.find_one({"_id": COPY["_id"]}) == COPY


def test_token_stored_under_a_plain_hash_opens_nothing(stack: Stack, database: Mongo, person: NewPerson) -> None:
    # Given a live session under the hash that every deployment of earlier releases made
    stored = database.sessions.find_one({"username": person().username}) or {}
    token = secrets.token_urlsafe(32)
    plain = hashlib.sha256(token.encode()).hexdigest()
    database.sessions.insert_one({**stored, "_id": plain, "sessionId": plain})
    # Then
    problem_of(Client(stack.url, token).get("/api/sessions/current"), 401)
    database.sessions.delete_one({"_id": plain})
