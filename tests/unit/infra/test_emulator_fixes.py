import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core.stores import clients
from infra.deployment import emulator_fixes, template
from tests.unit.conftest import STAGE

Client = Callable[[str], Any]


@pytest.fixture
def functions(client: Client) -> Any:
    """Lambda, with one function of the stack in it."""
    trust = '{"Version": "2012-10-17", "Statement": []}'
    role = client("iam").create_role(RoleName="any", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as code:
        code.writestr("app.py", "def app(event, context): ...")
    made = client("lambda")
    made.create_function(
        FunctionName=f"holdfast-{STAGE}-wait",
        Runtime="python3.12",
        Role=role,
        Handler="app.app",
        Code={"ZipFile": packed.getvalue()},
    )
    return made


def test_reserved_concurrency_is_what_the_template_asks_for(functions: Any) -> None:
    # Given
    resources = {
        "WaitHandler": {
            "Properties": {
                "FunctionName": {"Fn::Sub": "holdfast-${Stage}-wait"},
                "ReservedConcurrentExecutions": 7,
            }
        },
        "APIHandler": {"Properties": {"FunctionName": {"Fn::Sub": "holdfast-${Stage}-api"}}},
    }
    # When
    for _ in range(2):
        emulator_fixes.reserve_concurrency(functions, resources, STAGE)
    # Then
    found = functions.get_function_concurrency(FunctionName=f"holdfast-{STAGE}-wait")
    assert found["ReservedConcurrentExecutions"] == 7


def test_items_expire_where_the_template_says_so_and_asking_again_is_no_fault(dynamodb: Any) -> None:
    # When
    for _ in range(2):
        emulator_fixes.expire_items(dynamodb, template.resources()["Resources"], STAGE)
    # Then
    found = {
        name: dynamodb.describe_time_to_live(TableName=clients.table(name).name)["TimeToLiveDescription"]
        for name in ("users", "coordination")
    }
    assert found["coordination"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    assert found["users"]["TimeToLiveStatus"] == "DISABLED"


def test_the_gateways_own_answers_are_set_and_deployed(client: Client) -> None:
    # Given
    gateway = client("apigateway")
    api = gateway.create_rest_api(name="any")["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    gateway.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE")
    gateway.put_integration(restApiId=api, resourceId=root, httpMethod="GET", type="MOCK")
    properties = {
        "StageName": "api",
        "DefinitionBody": {"x-amazon-apigateway-gateway-responses": template._gateway_responses()},
    }
    # When
    emulator_fixes.answer_as_problems(gateway, api, properties)
    # Then
    found = gateway.get_gateway_response(restApiId=api, responseType="MISSING_AUTHENTICATION_TOKEN")
    assert found["statusCode"] == "404"
    assert found["responseParameters"]["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
    assert [stage["stageName"] for stage in gateway.get_stages(restApiId=api)["item"]] == ["api"]


def test_an_emulators_api_is_under_the_emulators_own_address(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/")
    outputs = {"RestAPIId": "abc", "EndpointURL": "https://abc.execute-api.us-east-1.amazonaws.com/api/"}
    assert emulator_fixes.api_url(client, outputs) == "http://127.0.0.1:4566/_aws/execute-api/abc/api"
