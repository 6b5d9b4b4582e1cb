"""The deployed templates, made from the application."""

import copy
import json
from typing import Any

import pytest

from app import app
from chalicelib import slices
from chalicelib.core.queueing import queues
from infra.deployment import package, parameters, template
from tests.unit.infra.build import Built, with_paths

INTEGRATION = "x-amazon-apigateway-integration"
#: The entry for the methods that a path does not list.
ANY = "x-amazon-apigateway-any-method"
Template = dict[str, Any]


@pytest.fixture(scope="module")
def completed(built: Built) -> Template:
    return built.package.app


@pytest.fixture(scope="module")
def paths(completed: Template) -> Template:
    found: Template = completed["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    return found


def functions(made: Template) -> dict[str, Template]:
    found = made["Resources"].items()
    return {name: one["Properties"] for name, one in found if one["Type"] == "AWS::Serverless::Function"}


def target(operation: Template) -> str:
    """Return the logical id of the function that an operation calls."""
    uri: str = operation[INTEGRATION]["uri"]["Fn::Sub"]
    return uri.partition("/functions/${")[2].partition(".Arn}")[0]


# --- paths and methods


def test_every_path_answers_every_method(paths: Template) -> None:
    assert set(paths) == set(app.routes)
    assert {path: {*methods} for path, methods in paths.items()} == {
        path: {ANY, *(method.lower() for method in methods)} for path, methods in app.routes.items()
    }


def test_streams_run_in_a_function_of_their_own_and_all_else_in_the_api_function(paths: Template) -> None:
    streams = {endpoint.path for endpoint in app.endpoints if endpoint.stream}
    assert len(streams) >= 2
    for path, operations in paths.items():
        assert {target(each) for each in operations.values()} == {"Events" if path in streams else "APIHandler"}


def test_the_gateway_may_call_the_function_of_streams(completed: Template) -> None:
    own, api = (completed["Resources"][f"{name}InvokePermission"] for name in ("Events", "APIHandler"))
    assert own["Properties"] == api["Properties"] | {"FunctionName": {"Ref": "Events"}}
    assert completed["Outputs"]["EventsArn"] == {"Value": {"Fn::GetAtt": ["Events", "Arn"]}}
    assert "ReservedConcurrentExecutions" not in completed["Resources"]["Events"]["Properties"]


def test_package_lists_the_routes_that_may_hold_a_request(built: Built) -> None:
    waiting = [(endpoint.method, endpoint.path) for endpoint in app.endpoints if endpoint.waits]
    assert built.package.waiting == waiting
    assert len(waiting) >= 2


def test_gateway_throttles_calls_that_hash_a_password_before_all_others(completed: Template, paths: Template) -> None:
    *settings, others = completed["Resources"]["RestAPI"]["Properties"]["MethodSettings"]
    assert [(one["ResourcePath"], one["HttpMethod"]) for one in settings] == [
        ("/~1api~1sessions", "POST"),
        ("/~1api~1password", "POST"),
    ]
    for setting in settings:
        assert "post" in paths[setting["ResourcePath"].removeprefix("/").replace("~1", "/")]
        assert 0 < setting["ThrottlingRateLimit"] <= setting["ThrottlingBurstLimit"]
    assert (others["ResourcePath"], others["HttpMethod"]) == ("/*", "*")
    # A first password is set more rarely than anybody signs in.
    rates = [settings[1]["ThrottlingRateLimit"], settings[0]["ThrottlingRateLimit"]]
    assert rates == sorted(rates)
    assert rates[0] < rates[1] < completed["Parameters"]["CallsPerSecond"]["Default"]


# --- functions


def test_no_function_reserves_concurrency(completed: Template) -> None:
    assert not [one for one in functions(completed).values() if "ReservedConcurrentExecutions" in one]


def test_roles_allow_named_actions_on_resources_of_the_stage(completed: Template) -> None:
    roles = [one["Properties"] for one in completed["Resources"].values() if one["Type"] == "AWS::IAM::Role"]
    statements = [
        statement
        for role in roles
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    assert len(roles) == len(functions(completed))
    assert len(statements) > len(roles)
    for statement in statements:
        actions, things = statement["Action"], statement["Resource"]
        assert all("*" not in action for action in ([actions] if isinstance(actions, str) else actions))
        for thing in things if isinstance(things, list) else [things]:
            # The WebSocket API is a resource of the stage's own stack. A sender of mails belongs to the account.
            sender = "Fn::If" in thing
            assert not sender or actions == ["ses:SendEmail"]
            assert sender or "${Stage}" in thing["Fn::Sub"] or ":${WebsocketAPI}/" in thing["Fn::Sub"]


def test_sender_of_mails_is_bounded_where_a_parameter_names_it(completed: Template) -> None:
    (policy,) = completed["Resources"]["MailRole"]["Properties"]["Policies"]
    (right,) = [one for one in policy["PolicyDocument"]["Statement"] if one["Action"] == ["ses:SendEmail"]]
    arn = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}"
    named = {"Fn::Sub": f"{arn}:identity/${{MailIdentity}}"}
    events = {"Fn::Sub": f"{arn}:configuration-set/holdfast-${{Stage}}"}
    assert right["Resource"] == [{"Fn::If": ["SenderNamed", named, "*"]}, events]
    assert completed["Parameters"]["MailIdentity"]["Default"] == ""
    assert completed["Conditions"]["SenderNamed"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "MailIdentity"}, ""]}]}


def test_every_function_has_name_runtime_and_stage(completed: Template) -> None:
    found = functions(completed)
    assert {"APIHandler", "Sweep", "Approval", "Project", "Repair", "Reconcile"} <= set(found)
    names = [properties["FunctionName"]["Fn::Sub"] for properties in found.values()]
    assert len(set(names)) == len(names)
    for properties in found.values():
        assert properties["FunctionName"]["Fn::Sub"].startswith("holdfast-${Stage}-")
        assert properties["Runtime"] == "python3.13"
        variables = properties["Environment"]["Variables"]
        assert {"HOLDFAST_STAGE", "HOLDFAST_SECRET_ID", "HOLDFAST_VERSION", "QUEUES_URL_PREFIX"} <= set(variables)


def test_queue_functions_time_out_before_the_visibility_timeout(
    completed: Template,
) -> None:
    # When
    events = [
        (properties, event["Properties"])
        for properties in functions(completed).values()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "SQS"
    ]
    # Then the function of dead letters has every dead-letter queue, and each queue has a function
    keeping = [event for properties, event in events if properties["Handler"] == "app.deadletters"]
    assert sorted(event["Queue"]["Fn::Sub"].rpartition("${Stage}-")[2] for event in keeping) == sorted(
        queue.dead_letters for queue in slices.QUEUES
    )
    assert all(event["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for event in keeping)
    working = [(properties, event) for properties, event in events if event not in keeping]
    assert len(working) == len(slices.QUEUES)
    for properties, event in working:
        queue = queues.named(event["Queue"]["Fn::Sub"].rpartition("${Stage}-")[2])
        assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert event["BatchSize"] == queue.batch_size
        assert properties["Timeout"] == queue.timeout_seconds <= queue.visibility_seconds


def test_the_projector_reads_the_records_stream_in_order(completed: Template) -> None:
    # When
    ((properties, event),) = (
        (properties, event["Properties"])
        for properties in functions(completed).values()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "DynamoDB"
    )
    # Then it reads from the beginning, and retries a failed batch in its place for ever
    assert properties["FunctionName"] == {"Fn::Sub": "holdfast-${Stage}-project"}
    assert event["Stream"] == {"Ref": "RecordsStream"}
    assert event["StartingPosition"] == "TRIM_HORIZON"
    assert (event["BisectBatchOnFunctionError"], event["MaximumRetryAttempts"]) == (False, -1)
    # And the data stack has an output for each parameter of the app stack
    assert set(completed["Parameters"]) - {"Stage", *parameters.APP} <= set(template.resources()["Outputs"])


def test_functions_of_long_work_have_longer_timeouts(completed: Template) -> None:
    found = functions(completed)
    assert {name: found[name]["Timeout"] for name in ("APIHandler", "Project", "Reconcile", "Sweep")} == {
        "APIHandler": 29,
        "Project": 60,
        "Reconcile": 300,
        "Sweep": 55,
    }


# --- the gateway's own answers


def test_the_gateways_own_errors_are_problems(completed: Template) -> None:
    definition = completed["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    responses = definition["x-amazon-apigateway-gateway-responses"]
    assert responses["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == "404"
    assert responses["REQUEST_TOO_LARGE"]["statusCode"] == "413"
    assert responses["THROTTLED"]["statusCode"] == "429"
    assert "gatewayresponse.header.Retry-After" in responses["THROTTLED"]["responseParameters"]
    for response in responses.values():
        headers = response["responseParameters"]
        assert headers["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'"
        assert headers["gatewayresponse.header.Access-Control-Expose-Headers"] == "'Retry-After'"
        assert "gatewayresponse.header.Access-Control-Allow-Credentials" not in headers
        kind = headers["gatewayresponse.header.Content-Type"]
        assert kind == "'application/problem+json'"
        problem = json.loads(response["responseTemplates"]["application/json"])
        assert set(problem) == {"type", "code", "title", "status", "detail", "requestId"}
        assert str(problem["status"]) == response["statusCode"]
    assert "x-amazon-apigateway-binary-media-types" not in definition


# --- completing is pure


def test_completing_a_template_is_pure_and_repeatable(built: Built) -> None:
    before = copy.deepcopy(built.chalices)
    made = [template.completed(built.chalices) for _ in range(2)]
    assert built.chalices == before
    assert made[0] == made[1] == built.package.app


# --- the template's size


def test_data_template_fits_into_a_call(built: Built) -> None:
    assert len(template.minified(built.package.data).encode()) < 0.9 * package.MAX_GIVEN_TEMPLATE_BYTES


def test_template_of_120_paths_is_within_half_of_cloudformations_limit(built: Built) -> None:
    text = template.minified(template.completed(with_paths(built.chalices, 120)))
    assert len(text.encode()) < package.MAX_TEMPLATE_BYTES / 2
    assert json.loads(text)["Resources"].keys() == built.package.app["Resources"].keys()


# --- data


def test_resources_of_the_data_stack_are_retained() -> None:
    for resource in template.resources()["Resources"].values():
        # Alarms with their topic hold nothing, nor does the form in which SES tells of mails.
        kind = resource["Type"]
        if kind != "AWS::CloudWatch::Alarm" and not kind.startswith(("AWS::SNS::", "AWS::SES::")):
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_tables_are_backed_up_and_encrypted_and_pay_by_request() -> None:
    tables = [one for one in template.resources()["Resources"].values() if one["Type"] == "AWS::DynamoDB::Table"]
    assert len(tables) >= 5
    for table in tables:
        assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True}
        assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"


def test_the_records_table_alone_has_a_stream_of_both_images() -> None:
    resources = template.resources()
    streams = {
        name: one["Properties"]["StreamSpecification"]
        for name, one in resources["Resources"].items()
        if "StreamSpecification" in one["Properties"]
    }
    assert streams == {"RecordsTable": {"StreamViewType": "NEW_AND_OLD_IMAGES"}}
    assert resources["Outputs"]["RecordsStream"]["Value"] == {"Fn::GetAtt": ["RecordsTable", "StreamArn"]}


def test_an_alarm_watches_the_projectors_iterator_age(completed: Template) -> None:
    alarm = template.resources()["Resources"]["RecordsStreamAlarm"]["Properties"]
    (watched,) = alarm["Dimensions"]
    assert (watched["Name"], watched["Value"]) == ("FunctionName", functions(completed)["Project"]["FunctionName"])
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "IteratorAge")
    assert alarm["Threshold"] == 60_000
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 300
