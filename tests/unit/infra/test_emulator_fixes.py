"""Fixes for properties that an emulator ignores, on moto's services."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from chalicelib.core.stores import clients
from infra.deployment import emulator_fixes, gateways, refusals, template
from tests.unit.conftest import STAGE

Client = Callable[[str], Any]


def test_ttl_is_enabled_from_the_template_and_may_be_repeated(dynamodb: Any) -> None:
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


FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:any"
PREFIX = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions"


class Gateway(NamedTuple):
    """API Gateway with an API as an emulator imports it: without any-methods and gateway responses."""

    client: Any
    outputs: dict[str, str]
    properties: dict[str, Any]

    def methods(self) -> dict[str, dict[str, str]]:
        """Return the URI of each method's integration, by path and method."""
        found = self.client.get_resources(restApiId=self.outputs["RestAPIId"], embed=["methods"])["items"]
        return {
            one["path"]: {
                name: method.get("methodIntegration", {}).get("uri")
                for name, method in one.get("resourceMethods", {}).items()
            }
            for one in found
        }

    def deployments(self) -> int:
        return len(self.client.get_deployments(restApiId=self.outputs["RestAPIId"])["items"])


@pytest.fixture
def gateway(client: Client) -> Gateway:
    made = client("apigateway")
    api = made.create_rest_api(name="any")["id"]
    root = made.get_resources(restApiId=api)["items"][0]["id"]
    for name in ("first", "second", "unrouted"):
        resource = made.create_resource(restApiId=api, parentId=root, pathPart=name)["id"]
        if name != "unrouted":
            which = {"restApiId": api, "resourceId": resource, "httpMethod": "GET"}
            made.put_method(**which, authorizationType="NONE")
            made.put_integration(**which, type="AWS_PROXY", integrationHttpMethod="POST", uri=_uri("routed"))
    uri = {"Fn::Sub": _uri("APIHandler").replace("aws", "${AWS::Partition}", 1).replace("us-east-1", "${AWS::Region}")}
    uri["Fn::Sub"] = uri["Fn::Sub"].replace("APIHandler/", "${APIHandler.Arn}/")
    paths = {f"/{name}": {template.ANY_METHOD: {template.INTEGRATION: {"uri": uri}}} for name in ("first", "second")}
    responses = refusals.responses()
    definition = {"paths": paths, "x-amazon-apigateway-gateway-responses": responses}
    outputs = {"RestAPIId": api, "APIHandlerArn": FUNCTION}
    return Gateway(made, outputs, {"StageName": "api", "DefinitionBody": definition})


def _uri(function: str) -> str:
    return f"{PREFIX}/{function}/invocations"


def test_an_any_method_dropped_by_the_import_is_restored(gateway: Gateway) -> None:
    # Given a path whose fix was interrupted before the integration
    first = next(
        one
        for one in gateway.client.get_resources(restApiId=gateway.outputs["RestAPIId"])["items"]
        if one["path"] == "/first"
    )
    gateway.client.put_method(
        restApiId=gateway.outputs["RestAPIId"], resourceId=first["id"], httpMethod="ANY", authorizationType="NONE"
    )
    # When
    emulator_fixes.complete_api(*gateway)
    # Then
    both = {"GET": _uri("routed"), "ANY": _uri(FUNCTION)}
    assert gateway.methods() == {"/": {}, "/unrouted": {}, "/first": both, "/second": both}


def test_complete_api_gets_no_writes_and_no_deployment(gateway: Gateway) -> None:
    # Given
    emulator_fixes.complete_api(*gateway)
    calls: list[str] = []
    gateway.client.meta.events.register("before-call.apigateway", lambda model, **_: calls.append(model.name))
    # When
    emulator_fixes.complete_api(*gateway)
    # Then
    assert calls == ["GetResources", "GetGatewayResponses"]
    assert gateway.deployments() == 1


def test_any_methods_call_a_replaced_function(gateway: Gateway) -> None:
    emulator_fixes.complete_api(*gateway)
    moved = gateway._replace(outputs={**gateway.outputs, "APIHandlerArn": f"{FUNCTION}-new"})
    emulator_fixes.complete_api(*moved)
    assert {methods["ANY"] for path, methods in gateway.methods().items() if "ANY" in methods} == {
        _uri(f"{FUNCTION}-new")
    }


def test_failed_call_to_the_gateway_is_raised(gateway: Gateway) -> None:
    broken = gateway._replace(outputs={**gateway.outputs, "RestAPIId": "nosuchapi"})
    with pytest.raises(ClientError):
        emulator_fixes.complete_api(*broken)


def test_gateway_responses_are_set_and_deployed(gateway: Gateway) -> None:
    # When
    emulator_fixes.complete_api(*gateway)
    # Then
    api, gateway_client = gateway.outputs["RestAPIId"], gateway.client
    found = gateway_client.get_gateway_response(restApiId=api, responseType="MISSING_AUTHENTICATION_TOKEN")
    assert found["statusCode"] == "404"
    assert found["responseParameters"]["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
    assert [stage["stageName"] for stage in gateway_client.get_stages(restApiId=api)["item"]] == ["api"]


def test_throttling_of_a_method_is_as_in_the_template(gateway: Gateway) -> None:
    emulator_fixes.complete_api(*gateway)
    properties = {**gateway.properties, "MethodSettings": gateways.throttled_routes()[:1]}
    for _ in range(2):
        emulator_fixes.throttle_methods(gateway.client, gateway.outputs, properties)
    stage = gateway.client.get_stage(restApiId=gateway.outputs["RestAPIId"], stageName="api")
    (found,) = stage["methodSettings"].values()
    assert (found["throttlingRateLimit"], found["throttlingBurstLimit"]) == gateways.THROTTLED["/api/sessions"]


def test_the_url_of_an_emulated_api_has_the_emulators_address(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/")
    outputs = {"RestAPIId": "abc", "EndpointURL": "https://abc.execute-api.us-east-1.amazonaws.com/api/"}
    assert emulator_fixes.api_url(client, outputs) == "http://127.0.0.1:4566/_aws/execute-api/abc/api"
