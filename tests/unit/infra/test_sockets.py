"""The WebSocket API in the templates, and its addresses at AWS and at an emulator."""

from collections.abc import Callable
from typing import Any

from infra.deployment import emulator_fixes
from tests.unit.infra.build import Built

Client = Callable[[str], Any]
HOST = "${WebsocketAPI}.execute-api.${AWS::Region}.${AWS::URLSuffix}/api"


def test_stage_of_the_websocket_api_deploys_by_itself(built: Built) -> None:
    resources = built.package.app["Resources"]
    assert not [name for name, one in resources.items() if one["Type"] == "AWS::ApiGatewayV2::Deployment"]
    stage = resources["WebsocketAPIStage"]
    assert stage["Properties"]["AutoDeploy"]
    assert {resources[name]["Type"] for name in stage["DependsOn"]} == {"AWS::ApiGatewayV2::Route"}
    assert HOST.endswith("/" + stage["Properties"]["StageName"])


def test_every_function_knows_the_addresses_of_sockets(built: Built) -> None:
    for one in built.package.app["Resources"].values():
        if one["Type"] == "AWS::Serverless::Function":
            variables = one["Properties"]["Environment"]["Variables"]
            assert variables["SOCKETS_MANAGEMENT_URL"] == {"Fn::Sub": f"https://{HOST}"}
            assert variables["SOCKETS_PUBLIC_URL"] == {"Fn::Sub": f"wss://{HOST}"}


def test_functions_of_sockets_have_the_names_of_app(built: Built) -> None:
    found = built.package.app["Resources"]
    names = {kind: found[f"Websocket{kind.title()}"]["Properties"] for kind in ("connect", "message", "disconnect")}
    assert {kind: one["FunctionName"]["Fn::Sub"] for kind, one in names.items()} == {
        kind: f"holdfast-${{Stage}}-{kind}" for kind in names
    }


def test_sockets_of_an_emulator_are_under_its_endpoint(client: Client) -> None:
    endpoint = client("apigateway").meta.endpoint_url.rstrip("/")
    outputs = {"RestAPIId": "a1", "EndpointURL": "https://a1.example/api/", "WebsocketAPIId": "b2"}
    assert emulator_fixes.urls(client, outputs)[1] == f"{endpoint}/_aws/execute-api/b2/api"
    wanted = f"{endpoint}/_aws/execute-api/${{WebsocketAPI}}/api"
    assert emulator_fixes.variables(client) == {"SOCKETS_MANAGEMENT_URL": {"Fn::Sub": wanted}}
