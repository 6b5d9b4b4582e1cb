"""Fixes for properties that an emulator's CloudFormation ignores. Never run against AWS.

Each fix is one step, safe to repeat. It reads the wanted value from the template, which stays the only source.
"""

from collections.abc import Callable
from typing import Any

Client = Callable[[str], Any]


def apply(client: Client, outputs: dict[str, str], data: dict[str, Any], template: dict[str, Any], stage: str) -> None:
    """Apply every fix: to the *data* template's resources, then to those of the app's *template*."""
    resources = template["Resources"]
    expire_items(client("dynamodb"), data["Resources"], stage)
    reserve_concurrency(client("lambda"), resources, stage)
    answer_as_problems(client("apigateway"), outputs["RestAPIId"], resources["RestAPI"]["Properties"])


def expire_items(dynamodb: Any, resources: dict[str, Any], stage: str) -> None:
    """Turn on the TTL that tables ask for."""
    for resource in resources.values():
        wanted = resource["Properties"].get("TimeToLiveSpecification")
        if wanted is not None:
            table = resource["Properties"]["TableName"]["Fn::Sub"].replace("${Stage}", stage)
            given = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
            if given["TimeToLiveStatus"] == "DISABLED":
                dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wanted)


def reserve_concurrency(functions: Any, resources: dict[str, Any], stage: str) -> None:
    """Set the reserved concurrency that the template asks for."""
    for resource in resources.values():
        wanted = resource["Properties"].get("ReservedConcurrentExecutions")
        if wanted is not None:
            name = resource["Properties"]["FunctionName"]["Fn::Sub"].replace("${Stage}", stage)
            functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=wanted)


def answer_as_problems(gateway: Any, api_id: str, properties: dict[str, Any]) -> None:
    """Set the gateway's own answers where they differ; they take effect with the next deployment of the API."""
    wanted = properties["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]
    found = {item["responseType"]: item for item in gateway.get_gateway_responses(restApiId=api_id)["items"]}
    missing = {
        kind: response for kind, response in wanted.items() if not response.items() <= found.get(kind, {}).items()
    }
    for kind, response in missing.items():
        gateway.put_gateway_response(restApiId=api_id, responseType=kind, **response)
    if missing:
        gateway.create_deployment(restApiId=api_id, stageName=properties["StageName"])


def api_url(client: Client, outputs: dict[str, str]) -> str:
    """Return where an emulator serves the API: under its own endpoint, as the AWS host name leads nowhere."""
    stage = outputs["EndpointURL"].rstrip("/").rpartition("/")[2]
    endpoint = client("apigateway").meta.endpoint_url.rstrip("/")
    return f"{endpoint}/_aws/execute-api/{outputs['RestAPIId']}/{stage}"
