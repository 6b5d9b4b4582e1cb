"""The two templates: the data template outlives deployments, the app template is replaced by each deployment.

**data** is `resources.yaml`, and for every declared queue the queue itself and its dead-letter queue with an alarm.
**app** is chalice's template of `app.py`, completed here:

* Every function gets its name, its stage and the runtime. A function on a queue gets the queue's declared settings. A
  function on a table's stream gets the stream's ARN, an output of the data stack that `stacks.py` passes as parameter.
* The functions that push to devices have a layer with the packages that only pushes need (layer.py).
* Functions know the addresses of the WebSocket API, whose stage deploys changes of routes by itself.
* The function `events` serves the routes that are streams of events.
* Every path answers every method, and the gateway's own errors are problems (RFC 9457): 404 for an unknown path, 405
  for a wrong method.
"""

import copy
import json
import tomllib
from collections.abc import Iterable
from typing import Any

import yaml

from chalicelib import slices
from chalicelib.core.queueing import keeper, queues
from infra.deployment import alarms, gateways, layer, loggroups, parameters, refusals
from infra.deployment.templating import KEPT, QUEUE_ARN, functions, logical, sub
from infra.environment import ROOT
from infra.host.interpreter import RUNTIME

#: The time limit of the function that stores dead letters, and how long a dead letter may wait to be stored.
_KEEPER_SECONDS, _LONGEST_TRANSIT_SECONDS = 20, 300

#: The stage of the WebSocket API, and host and stage.
SOCKETS_STAGE = "api"
_SOCKETS_HOST = f"${{WebsocketAPI}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/{SOCKETS_STAGE}"
#: The functions of WebSockets.
SOCKETS = ("connect", "message", "disconnect")

#: Chalice's logical names of the functions that serve routes.
_API, _EVENTS = "APIHandler", "Events"

#: API Gateway's extension for the methods that a path does not list.
ANY_METHOD = "x-amazon-apigateway-any-method"
INTEGRATION = "x-amazon-apigateway-integration"
GATEWAY_RESPONSES = "x-amazon-apigateway-gateway-responses"


def resources(names: Iterable[str] = ()) -> dict[str, Any]:
    """Return the data template: `resources.yaml`, each queue, its dead-letter queue and its alarms, and the log groups.

    *names* are the functions that have a log group, named without ``holdfast-<stage>-``.
    """
    template: dict[str, Any] = yaml.safe_load((ROOT / "infra/deployment/resources.yaml").read_text())
    template["Parameters"] |= parameters.DATA
    template["Resources"] |= loggroups.of(names)
    for queue in slices.QUEUES:
        template["Resources"] |= _queue(queue)
    parameters.protect(template)
    alarms.add_to_data(template, slices.QUEUES)
    return template


def completed(template: dict[str, Any]) -> dict[str, Any]:
    """Return chalice's *template* with the additions in the module's docstring. *template* itself is not changed."""
    made = copy.deepcopy(template)
    made["Parameters"] = {"Stage": {"Type": "String"}, "RecordsStream": {"Type": "String"}}
    resources = made["Resources"]
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Serverless::Function":
            short = "api" if name == _API else name.lower().removeprefix("websocket")
            _complete_function(resource["Properties"], short)
            if short == keeper.NAME:
                _complete_keeper(resource["Properties"])
                continue
            for event in resource["Properties"].get("Events", {}).values():
                if event["Type"] == "SQS":
                    _complete_queue_event(resource["Properties"], event["Properties"])
                if event["Type"] == "DynamoDB":
                    _complete_stream_event(event["Properties"])
    resources[layer.LOGICAL] = layer.resource(RUNTIME)
    _complete_sockets(resources)
    definition = resources["RestAPI"]["Properties"]["DefinitionBody"]
    _serve_streams(made, definition["paths"])
    for path in definition["paths"].values():
        _answer_every_method(path)
    definition[GATEWAY_RESPONSES] = refusals.responses()
    parameters.add(made)
    gateways.add(made)
    alarms.add_to_app(made, functions(made))
    # No answer is binary, and with binary media types a JSON request may arrive as base64.
    definition.pop("x-amazon-apigateway-binary-media-types", None)
    return made


def minified(template: dict[str, Any]) -> str:
    """Return *template* as JSON without spaces: CloudFormation counts bytes."""
    return json.dumps(template, separators=(",", ":"))


def _queue(queue: queues.Queue) -> dict[str, Any]:
    """Return the resources of *queue*. SQS dead-letters a message only if the workers never do."""
    name = logical(queue.name)
    fixed = {
        "MessageRetentionPeriod": queues.RETENTION_SECONDS,
        "MaximumMessageSize": queues.LARGEST_MESSAGE_BYTES,
        "SqsManagedSseEnabled": True,
    }
    dead = {
        "QueueName": sub(f"holdfast-${{Stage}}-{queue.dead_letters}"),
        "VisibilityTimeout": 2 * _KEEPER_SECONDS,
        **fixed,
    }
    alive = {
        "QueueName": sub(f"holdfast-${{Stage}}-{queue.name}"),
        "VisibilityTimeout": queue.visibility_seconds,
        "RedrivePolicy": {
            "deadLetterTargetArn": {"Fn::GetAtt": [f"{name}DeadLetters", "Arn"]},
            "maxReceiveCount": queues.MOST_RECEIVES,
        },
        **fixed,
    }
    return {
        f"{name}DeadLetters": {"Type": "AWS::SQS::Queue", **KEPT, "Properties": dead},
        f"{name}Queue": {"Type": "AWS::SQS::Queue", **KEPT, "Properties": alive},
        f"{name}DeadLettersAlarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": _transit_alarm(queue)},
    }


def _transit_alarm(queue: queues.Queue) -> dict[str, Any]:
    """Return the alarm of dead letters of *queue* that wait in SQS, because they are not stored."""
    return {
        "AlarmName": sub(f"holdfast-${{Stage}}-{queue.dead_letters}"),
        "AlarmDescription": f"Dead letters in {queue.dead_letters} are not stored: read what {keeper.NAME} logs",
        "Namespace": "AWS/SQS",
        "MetricName": "ApproximateAgeOfOldestMessage",
        "Dimensions": [
            {"Name": "QueueName", "Value": {"Fn::GetAtt": [f"{logical(queue.name)}DeadLetters", "QueueName"]}}
        ],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": _LONGEST_TRANSIT_SECONDS,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }


def _complete_queue_event(function: dict[str, Any], event: dict[str, Any]) -> None:
    """Point the mapping at the stage's queue with the declared settings. Chalice cannot ask for partial failures."""
    queue = queues.named(_queue_of(event))
    function["Timeout"] = queue.timeout_seconds
    if queue.pushes:
        function["Layers"] = [{"Ref": layer.LOGICAL}]
    event |= _mapping(queue.name, queue.batch_size, queue.concurrency)


def _complete_keeper(function: dict[str, Any]) -> None:
    """Point the function that stores dead letters at every dead-letter queue; chalice gives a function one queue."""
    function["Timeout"] = _KEEPER_SECONDS
    function["Events"] = {
        f"{logical(queue.name)}DeadLetters": {"Type": "SQS", "Properties": _mapping(queue.dead_letters, 10, 2)}
        for queue in slices.QUEUES
    }


def _queue_of(event: dict[str, Any]) -> str:
    """Return the queue that chalice's *event* names."""
    name: str = event["Queue"]["Fn::Sub"].rpartition(":")[2]
    return name


def _mapping(queue: str, batch_size: int, concurrency: int) -> dict[str, Any]:
    return {
        "Queue": sub(f"{QUEUE_ARN}{queue}"),
        "BatchSize": batch_size,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": concurrency},
    }


def _complete_stream_event(event: dict[str, Any]) -> None:
    """Point the mapping at the stream of the table that `app.py` names. The ARN is known once the table is made."""
    event |= {
        "Stream": {"Ref": f"{event['Stream'].title()}Stream"},
        # A batch fails only while a store is down. The batch is then retried unchanged, and later batches wait.
        "BisectBatchOnFunctionError": False,
        "MaximumRetryAttempts": -1,
    }


def _complete_function(properties: dict[str, Any], short: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    variables = {
        "HOLDFAST_STAGE": {"Ref": "Stage"},
        "HOLDFAST_SECRET_ID": {"Fn::Sub": "holdfast-${Stage}"},
        "HOLDFAST_VERSION": version,
        "SOCKETS_MANAGEMENT_URL": sub(f"https://{_SOCKETS_HOST}"),
        "SOCKETS_PUBLIC_URL": sub(f"wss://{_SOCKETS_HOST}"),
        "QUEUES_URL_PREFIX": sub("https://sqs.${AWS::Region}.${AWS::URLSuffix}/${AWS::AccountId}/holdfast-${Stage}-"),
        "MAIL_CONFIGURATION_SET": sub("holdfast-${Stage}"),
    }
    properties["FunctionName"] = {"Fn::Sub": f"holdfast-${{Stage}}-{short}"}
    properties["Runtime"] = RUNTIME
    given = properties.setdefault("Environment", {}).setdefault("Variables", {})
    properties["Environment"]["Variables"] = {**variables, **given}


def _complete_sockets(resources: dict[str, Any]) -> None:
    """Let the stage of the WebSocket API deploy by itself.

    A deployment of chalice's own has a fixed id, so CloudFormation would never deploy a later change of routes.
    """
    deployment, stage = resources.pop("WebsocketAPIDeployment"), resources["WebsocketAPIStage"]
    stage["DependsOn"] = deployment["DependsOn"]
    del stage["Properties"]["DeploymentId"]
    stage["Properties"]["AutoDeploy"] = True


def _serve_streams(made: dict[str, Any], paths: dict[str, Any]) -> None:
    """Let the function of streams serve their routes: a permission for the gateway, its ARN, and the integrations."""
    resources = made["Resources"]
    permission = copy.deepcopy(resources[f"{_API}InvokePermission"])
    permission["Properties"]["FunctionName"] = {"Ref": _EVENTS}
    resources[f"{_EVENTS}InvokePermission"] = permission
    made["Outputs"][f"{_EVENTS}Arn"] = {"Value": {"Fn::GetAtt": [_EVENTS, "Arn"]}}
    endpoints = (endpoint for routes in slices.ROUTES for endpoint in routes.endpoints)
    for path in {endpoint.path for endpoint in endpoints if endpoint.stream}:
        for operation in paths[path].values():
            if INTEGRATION in operation:
                uri = operation[INTEGRATION]["uri"]
                uri["Fn::Sub"] = uri["Fn::Sub"].replace(f"${{{_API}.Arn}}", f"${{{_EVENTS}.Arn}}")


def _answer_every_method(path: dict[str, Any]) -> None:
    """Send methods without a route to the API function. The function answers 405, or a preflight.

    A single entry in place of up to six keeps the template small: CloudFormation limits the template's size.
    """
    fallback = copy.deepcopy(next(iter(path.values())))
    # The summary describes the route.
    fallback.pop("summary", None)
    path[ANY_METHOD] = fallback
