"""The deployed templates: log groups of functions, and parameters that a stage may set."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.stack import Stack
from tests.support.client import Client, json_of
from tests.support.stack import STAGE
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

APP, FUNCTION = f"holdfast-{STAGE}-app", f"holdfast-{STAGE}-sweep"


def update(stack: Stack, **parameters: str) -> None:
    """Update the app stack with *parameters*; all others keep their values."""
    calls = stack.client("cloudformation")
    given = calls.describe_stacks(StackName=APP)["Stacks"][0]["Parameters"]
    calls.update_stack(
        StackName=APP,
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": one["ParameterKey"], "ParameterValue": parameters.get(one["ParameterKey"], value)}
            for one in given
            for value in [one["ParameterValue"]]
        ],
    )

    def settled() -> bool:
        status: str = calls.describe_stacks(StackName=APP)["Stacks"][0]["StackStatus"]
        assert status in {"UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"}
        return status == "UPDATE_COMPLETE"

    eventually(settled)


@pytest.fixture
def traced(stack: Stack) -> Iterator[None]:
    """The app stack with Tracing=Active and a network while the test runs."""
    update(stack, Tracing="Active", SubnetIds="subnet-12345678", SecurityGroupIds="sg-12345678")
    yield
    # A deployment sets the parameters of the stage, and what the emulator leaves out.
    stack.redeploy()


def attached(stack: Stack) -> set[str]:
    """Return the logical ids of the managed policies of the sweep's role."""
    function = stack.client("lambda").get_function_configuration(FunctionName=FUNCTION)
    role = function["Role"].rpartition("/")[2]
    found: Any = stack.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return {name for one in found for name in ("NetworkPolicy", "TracingPolicy") if name in one["PolicyArn"]}


def test_log_group_of_a_function_has_the_retention_of_the_stage(stack: Stack) -> None:
    (group,) = stack.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{FUNCTION}")["logGroups"]
    assert group["retentionInDays"] == 30


def test_tracing_and_network_are_parameters_of_the_deployed_stack(
    stack: Stack, admin: Client, request: pytest.FixtureRequest
) -> None:
    assert attached(stack) == set()
    request.getfixturevalue("traced")
    assert attached(stack) == {"NetworkPolicy", "TracingPolicy"}
    function = stack.client("lambda").get_function_configuration(FunctionName=FUNCTION)
    assert function["TracingConfig"]["Mode"] == "Active"
    # And the functions still answer
    json_of(admin.get("/api/sessions/current"), 200)


@pytest.fixture
def named_sender(stack: Stack) -> Iterator[None]:
    """The app stack with MailIdentity=example.org while the test runs."""
    update(stack, MailIdentity="example.org")
    yield
    update(stack, MailIdentity="")


def senders(stack: Stack) -> set[str]:
    """Return the resources that the deployed role of the function `mail` may send mails with."""
    iam = stack.client("iam")
    function = stack.client("lambda").get_function_configuration(FunctionName=f"holdfast-{STAGE}-mail")
    role = function["Role"].rpartition("/")[2]
    found = set()
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document: Any = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        rights = (json.loads(document) if isinstance(document, str) else document)["Statement"]
        found |= {thing for right in rights if right["Action"] == ["ses:SendEmail"] for thing in right["Resource"]}
    return found


def test_parameter_bounds_the_sender_of_mails(stack: Stack, request: pytest.FixtureRequest) -> None:
    events = f"arn:aws:ses:us-east-1:000000000000:configuration-set/holdfast-{STAGE}"
    assert senders(stack) == {"*", events}
    request.getfixturevalue("named_sender")
    assert senders(stack) == {"arn:aws:ses:us-east-1:000000000000:identity/example.org", events}
