"""Alarms of both templates, logs of the gateways, and the names that a role of one stage may reach."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from chalicelib import slices
from infra.deployment import policies, templating
from tests.unit.infra.build import Built

Template = dict[str, Any]


def alarms(template: Template) -> dict[str, Template]:
    found = [one["Properties"] for one in template["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    return {one["AlarmName"]["Fn::Sub"].removeprefix("holdfast-${Stage}-"): one for one in found}


@pytest.fixture
def every(built: Built) -> dict[str, Template]:
    return alarms(built.package.data) | alarms(built.package.app)


def test_every_alarm_notifies_the_topic_when_it_goes_off_and_ends(built: Built, every: dict[str, Template]) -> None:
    for alarm in every.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]
    assert built.package.data["Outputs"]["AlarmTopic"]["Value"] == {"Ref": "AlarmTopic"}
    assert "AlarmTopic" in built.package.app["Parameters"]


def test_an_address_for_alarms_is_optional(built: Built) -> None:
    subscription = built.package.data["Resources"]["AlarmSubscription"]
    assert subscription["Condition"] == "Mailed"
    assert subscription["Properties"]["Endpoint"] == {"Ref": "AlarmEmail"}
    assert built.package.data["Parameters"]["AlarmEmail"]["Default"] == ""


def test_queues_functions_and_schedules_have_their_alarms(built: Built, every: dict[str, Template]) -> None:
    wanted = {f"{queue.name}-age" for queue in slices.QUEUES}
    wanted |= {f"{name}-errors" for name in templating.functions(built.package.app)}
    wanted |= {"sweep-stopped", "reconcile-stopped", "throttles", "server-errors", "places"}
    assert wanted <= every.keys()


def test_alarm_of_a_stopped_schedule_goes_off_without_data(every: dict[str, Template]) -> None:
    for name in ("sweep-stopped", "reconcile-stopped"):
        assert every[name]["TreatMissingData"] == "breaching"
        assert every[name]["ComparisonOperator"] == "LessThanThreshold"


def test_alarm_of_the_gateway_watches_the_api_of_its_stage_alone(built: Built, every: dict[str, Template]) -> None:
    properties = built.package.app["Resources"]["RestAPI"]["Properties"]
    (watched,) = every["server-errors"]["Dimensions"]
    assert watched["Value"] == properties["Name"] == properties["DefinitionBody"]["info"]["title"]
    assert "${Stage}" in watched["Value"]["Fn::Sub"]


def test_schedules_that_fail_leave_a_message(built: Built) -> None:
    for name in ("Sweep", "Reconcile"):
        config = built.package.app["Resources"][name]["Properties"]["EventInvokeConfig"]
        target = config["DestinationConfig"]["OnFailure"]
        assert target["Type"] == "SQS"
        assert target["Destination"]["Fn::Sub"].endswith(":holdfast-${Stage}-schedule-failures")
        role = json.dumps(built.package.app["Resources"][f"{name}Role"])
        assert target["Destination"]["Fn::Sub"] in role


def test_access_logs_hold_no_query_string(built: Built) -> None:
    resources = built.package.app["Resources"]
    settings = [
        resources["RestAPI"]["Properties"]["AccessLogSetting"],
        resources["WebsocketAPIStage"]["Properties"]["AccessLogSettings"],
    ]
    for setting in settings:
        condition, wanted, otherwise = setting["Fn::If"]
        assert (condition, otherwise) == ("Logged", {"Ref": "AWS::NoValue"})
        fields = set(json.loads(wanted["Format"]).values())
        assert "$context.requestId" in fields
        assert not [field for field in fields if "query" in field.lower() or "authorizer" in field]


# --- stages whose names begin alike


def resources_of(template: Template) -> Iterator[str]:
    for role in template["Resources"].values():
        if role["Type"] == "AWS::IAM::Role":
            for policy in role["Properties"]["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    things = statement["Resource"]
                    listed = things if isinstance(things, list) else [things]
                    # Senders of mails belong to the account.
                    yield from (thing["Fn::Sub"] for thing in listed if "Fn::If" not in thing)


def test_no_role_of_a_stage_reaches_a_stage_with_a_longer_name(built: Built) -> None:
    patterns = sorted(set(resources_of(built.package.app)))
    assert len(patterns) > 20
    for pattern in patterns:
        ours = pattern.replace("${Stage}", "prod")
        for other in patterns:
            # A secret of that name has six characters at the end, and a log group its streams.
            theirs = other.replace("${Stage}", "prod-eu").replace("??????", "abc123").replace("*", "stream")
            if theirs != other.replace("*", "stream"):
                assert not fnmatchcase(theirs, ours)


def test_rights_of_a_deployer_name_the_stage() -> None:
    document = policies.deployer("prod")
    assert "${Stage}" not in json.dumps(document)
    open_to_all = {one["Sid"] for one in document["Statement"] if one["Resource"] == ["*"]}
    assert open_to_all == {"AccessLogs", "Looks", "Mappings"}
    assert not [action for one in document["Statement"] for action in one["Action"] if "*" in action]


#: The services of a template's resources that have another name in rights.
_SERVICES = {"Serverless": "lambda", "SecretsManager": "secretsmanager", "ApiGatewayV2": "apigateway"}


def test_deployer_has_rights_for_every_service_of_both_templates(built: Built) -> None:
    rights = {action.partition(":")[0] for one in policies.deployer("prod")["Statement"] for action in one["Action"]}
    resources = [*built.package.data["Resources"].values(), *built.package.app["Resources"].values()]
    services = {one["Type"].split("::")[1] for one in resources}
    assert len(services) >= 10
    assert {_SERVICES.get(service, service.lower()) for service in services} <= rights
