"""Fixes for properties that an emulator's CloudFormation ignores. Never run against AWS.

Each fix is a step of its own, safe to repeat. Wanted values are read from the template, the only source of settings.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import parseaddr
from functools import partial
from typing import Any

from infra.deployment.template import ANY_METHOD, GATEWAY_RESPONSES, INTEGRATION, SOCKETS_STAGE

Client = Callable[[str], Any]
Call = Callable[[], Any]

#: Concurrent calls to the emulator. The emulator answers one call at a time, while this process prepares the next.
_AT_ONCE = 4


def apply(client: Client, outputs: dict[str, str], data: dict[str, Any], template: dict[str, Any], stage: str) -> None:
    """Apply every fix: to the *data* template's resources, then to those of the app's *template*."""
    resources = template["Resources"]
    expire_items(client("dynamodb"), data["Resources"], stage)
    complete_api(client("apigateway"), outputs, resources["RestAPI"]["Properties"])
    throttle_methods(client("apigateway"), outputs, resources["RestAPI"]["Properties"])
    verify_sender(client("ses"), resources["APIHandler"]["Properties"])


def expire_items(dynamodb: Any, resources: dict[str, Any], stage: str) -> None:
    """Turn on the TTL of tables according to the template."""
    for resource in resources.values():
        wanted = resource["Properties"].get("TimeToLiveSpecification")
        if wanted is not None:
            table = resource["Properties"]["TableName"]["Fn::Sub"].replace("${Stage}", stage)
            given = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
            if given["TimeToLiveStatus"] == "DISABLED":
                dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wanted)


def complete_api(gateway: Any, outputs: Mapping[str, str], properties: dict[str, Any]) -> None:
    """Add missing any-methods and gateway responses, then deploy the API. If nothing is missing, change nothing."""
    api_id, definition = outputs["RestAPIId"], properties["DefinitionBody"]
    calls = [
        *_any_methods(gateway, outputs, definition["paths"]),
        *_gateway_responses(gateway, api_id, definition[GATEWAY_RESPONSES]),
    ]
    if not calls:
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()
    # Gateway responses take effect with a deployment.
    gateway.create_deployment(restApiId=api_id, stageName=properties["StageName"])


def throttle_methods(gateway: Any, outputs: Mapping[str, str], properties: dict[str, Any]) -> None:
    """Throttle methods as in the template. The emulator's CloudFormation does not decode the path of a method."""
    wanted = [
        {
            "op": "replace",
            "path": f"{setting['ResourcePath']}/{setting['HttpMethod']}/throttling/{name}",
            "value": value,
        }
        for setting in properties["MethodSettings"]
        for name, value in (
            ("rateLimit", str(setting["ThrottlingRateLimit"])),
            ("burstLimit", str(setting["ThrottlingBurstLimit"])),
        )
    ]
    gateway.update_stage(restApiId=outputs["RestAPIId"], stageName=properties["StageName"], patchOperations=wanted)


def verify_sender(ses: Any, properties: Mapping[str, Any]) -> None:
    """Verify the sender of mails, for which nobody at an emulator would click a link."""
    if sender := properties["Environment"]["Variables"].get("MAIL_SENDER"):
        ses.verify_email_identity(EmailAddress=parseaddr(sender)[1])


def _any_methods(gateway: Any, outputs: Mapping[str, str], paths: dict[str, Any]) -> Iterator[Call]:
    """Yield a call for each path whose any-method is missing or outdated. The emulator's import drops any-methods."""
    pages = gateway.get_paginator("get_resources").paginate(restApiId=outputs["RestAPIId"], embed=["methods"])
    for resource in (resource for page in pages for resource in page["items"]):
        if resource["path"] in paths:
            integration = paths[resource["path"]][ANY_METHOD][INTEGRATION]
            uri = _resolved(integration["uri"]["Fn::Sub"], gateway.meta.region_name, outputs)
            method = resource.get("resourceMethods", {}).get("ANY")
            if method is None or (method.get("methodIntegration") or {}).get("uri") != uri:
                yield partial(_put_any, gateway, outputs["RestAPIId"], resource["id"], uri, new=method is None)


def _put_any(gateway: Any, api_id: str, resource_id: str, uri: str, *, new: bool) -> None:
    method = {"restApiId": api_id, "resourceId": resource_id, "httpMethod": "ANY"}
    if new:
        gateway.put_method(**method, authorizationType="NONE")
    gateway.put_integration(**method, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)


def _resolved(text: str, region: str, outputs: Mapping[str, str]) -> str:
    """Return *text* with the values that CloudFormation puts into an integration's URI."""
    arns = {f"{name.removesuffix('Arn')}.Arn": value for name, value in outputs.items() if name.endswith("Arn")}
    for name, value in {"AWS::Partition": "aws", "AWS::Region": region, **arns}.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def _gateway_responses(gateway: Any, api_id: str, wanted: dict[str, Any]) -> Iterator[Call]:
    """Yield a call for each gateway response that differs. The emulator's import ignores gateway responses."""
    found = {item["responseType"]: item for item in gateway.get_gateway_responses(restApiId=api_id)["items"]}
    for kind, response in wanted.items():
        if not response.items() <= found.get(kind, {}).items():
            yield partial(gateway.put_gateway_response, restApiId=api_id, responseType=kind, **response)


def api_url(client: Client, outputs: dict[str, str]) -> str:
    """Return the URL at which an emulator serves the API: under the emulator's endpoint, not under an AWS host name."""
    stage = outputs["EndpointURL"].rstrip("/").rpartition("/")[2]
    endpoint = client("apigateway").meta.endpoint_url.rstrip("/")
    return f"{endpoint}/_aws/execute-api/{outputs['RestAPIId']}/{stage}"


def urls(client: Client, outputs: dict[str, str]) -> tuple[str, str]:
    """Return the URLs at which an emulator serves the API and the WebSockets."""
    return api_url(client, outputs), _sockets_url(client, outputs["WebsocketAPIId"])


def variables(client: Client) -> dict[str, Any]:
    """Return the environment variables of functions that differ at an emulator: the management API of WebSockets."""
    return {"SOCKETS_MANAGEMENT_URL": {"Fn::Sub": _sockets_url(client, "${WebsocketAPI}")}}


def _sockets_url(client: Client, api_id: str) -> str:
    return f"{client('apigateway').meta.endpoint_url.rstrip('/')}/_aws/execute-api/{api_id}/{SOCKETS_STAGE}"
