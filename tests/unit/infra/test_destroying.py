"""Deleting a stage, with moto in the place of AWS; and the budget of MongoDB's connections."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import botocore.session
import pytest
from botocore.stub import Stubber

from infra.deployment import cloudformation, destroying, quotas, stacks
from infra.local.processes.mongod import Mongod
from infra.operations.failures import CommandFailed
from tests.unit.conftest import STAGE
from tests.unit.infra.test_stacks import a_package

Client = Callable[[str], Any]


@pytest.fixture
def deployed(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A deployed stage with protected tables. moto has no termination protection."""
    stacks.deploy(a_package(tmp_path), STAGE, client=client, variables={}, aws=True)
    monkeypatch.setattr(client("cloudformation"), "update_termination_protection", lambda **_: None)
    stacks.protect(client("cloudformation"), STAGE)
    return client


def tables(client: Client) -> list[str]:
    found: list[str] = client("dynamodb").list_tables()["TableNames"]
    return found


@pytest.mark.parametrize("answer", ["", "yes", f"{STAGE}-eu"])
def test_destroying_changes_nothing_without_the_name_of_the_stage(deployed: Client, answer: str) -> None:
    before = tables(deployed)
    with pytest.raises(CommandFailed, match=r"Nothing was changed\."):
        destroying.destroy(STAGE, deployed, lambda question: answer)
    assert tables(deployed) == before
    assert cloudformation.describe(deployed("cloudformation"), f"holdfast-{STAGE}-app")


def test_unknown_stage_is_not_destroyed(client: Client) -> None:
    with pytest.raises(CommandFailed, match="no stack holdfast-nowhere-data"):
        destroying.destroy("nowhere", client, lambda question: "nowhere")


# --- limits


@pytest.mark.parametrize(("limit", "warned"), [(10, False), (1_000_000, True)])
def test_connection_budget_warns_beyond_the_servers_limit(mongod: Mongod, *, limit: int, warned: bool) -> None:
    said = quotas.connection_budget(mongod.uri, limit, {"MONGODB_MAX_POOL_SIZE": "8"})
    assert f"{limit:,} functions at the same time open up to {limit * 10:,}" in said
    assert said.startswith("Warning") is warned


def test_access_logs_need_a_role_of_the_account(client: Client) -> None:
    class Account:
        def __init__(self, arn: str) -> None:
            self.arn = arn

        def get_account(self) -> dict[str, str]:
            return {"cloudwatchRoleArn": self.arn} if self.arn else {}

    quotas.check_log_role(Account("arn:aws:iam::123456789012:role/logs"))
    with pytest.raises(CommandFailed, match="update-account"):
        quotas.check_log_role(Account(""))


def test_refused_change_of_a_protected_stack_is_a_sentence() -> None:
    calls = botocore.session.get_session().create_client("cloudformation", region_name="us-east-1")
    stack = {"StackName": "data", "CreationTime": datetime.now(UTC), "StackStatus": "CREATE_COMPLETE"}
    with Stubber(calls) as answers:
        answers.add_response("describe_stacks", {"Stacks": [stack]})
        answers.add_response("get_template", {"TemplateBody": '{"Resources": {}}'}, {"StackName": "data"})
        answers.add_client_error(
            "update_stack",
            "ValidationError",
            "Rate exceeded",
            # Not every endpoint knows UsePreviousTemplate.
            expected_params={
                "StackName": "data",
                "TemplateBody": '{"Resources":{}}',
                "Capabilities": ANY,
                "Parameters": [{"ParameterKey": "Protected", "ParameterValue": "Yes"}],
            },
        )
        with pytest.raises(cloudformation.DeployFailed, match=r"^data: Rate exceeded$"):
            cloudformation.protect(calls, "data", Protected="Yes")
