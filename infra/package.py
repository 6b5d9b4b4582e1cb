"""What is deployed, as a build step: `chalice package`, and the few mends its template needs.

Two templates come out. **data** is what must outlive a deployment, and is `resources.yaml` as it stands. **app** is
functions, gateway and schedules, made by chalice and mended here:

* every function gets its name, its stage and python3.12;
* routes that may hold a request run in a function of their own (`waits=True`), so that waiters never starve the rest;
* every path answers every method, and the gateway's own errors are problems (RFC 9457), so that an unknown path is 404
  and a wrong method 405.

Nothing here touches the network unless wheels are asked for.
"""

import argparse
import contextlib
import copy
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple, get_args

import yaml

from chalicelib import queues, wiring

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = "python3.12"
#: Amazon Linux 2023 has glibc 2.34; older tags are what most wheels carry.
PLATFORMS = ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
#: Lambda's own limit on a function and its layers, unpacked.
MAX_UNPACKED_BYTES = 250 * 1024 * 1024

#: Callers held at the same time; beyond it the gateway answers for the function.
WAITERS = 60

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_INTEGRATION = "x-amazon-apigateway-integration"
_GATEWAY_RESPONSES = "x-amazon-apigateway-gateway-responses"

#: What the gateway says without asking a function, and how we say it.
_GATEWAY_ERRORS = {
    "MISSING_AUTHENTICATION_TOKEN": HTTPStatus.NOT_FOUND,
    "RESOURCE_NOT_FOUND": HTTPStatus.NOT_FOUND,
    "ACCESS_DENIED": HTTPStatus.FORBIDDEN,
    "INVALID_SIGNATURE": HTTPStatus.FORBIDDEN,
    "EXPIRED_TOKEN": HTTPStatus.FORBIDDEN,
    "WAF_FILTERED": HTTPStatus.FORBIDDEN,
    "UNAUTHORIZED": HTTPStatus.UNAUTHORIZED,
    "BAD_REQUEST_BODY": HTTPStatus.BAD_REQUEST,
    "BAD_REQUEST_PARAMETERS": HTTPStatus.BAD_REQUEST,
    "REQUEST_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "UNSUPPORTED_MEDIA_TYPE": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "THROTTLED": HTTPStatus.TOO_MANY_REQUESTS,
    "QUOTA_EXCEEDED": HTTPStatus.TOO_MANY_REQUESTS,
    "API_CONFIGURATION_ERROR": HTTPStatus.BAD_GATEWAY,
    "INTEGRATION_FAILURE": HTTPStatus.BAD_GATEWAY,
    "INTEGRATION_TIMEOUT": HTTPStatus.GATEWAY_TIMEOUT,
    "DEFAULT_5XX": HTTPStatus.BAD_GATEWAY,
}
_WITH_RETRY = {HTTPStatus.TOO_MANY_REQUESTS}


class Package(NamedTuple):
    """What was built. *waiting* lists method and path of every route that may hold a request."""

    code: Path
    data: dict[str, Any]
    app: dict[str, Any]
    waiting: list[tuple[str, str]]


class PackageFailed(Exception):
    """The application cannot be packaged; says what chalice or pip said."""


def build(stage: str, *, vendor: bool, folder: Path) -> Package:
    """Build *stage* into *folder*, in a process of its own, as the application must be imported afresh.

    With *vendor* the package holds its requirements, as wheels for Lambda; without, functions find them in place.

    Raises:
        PackageFailed: the application does not import, or a requirement has no wheel.
    """
    command = [sys.executable, "-m", "infra.package", "--stage", stage, "--folder", str(folder)]
    done = subprocess.run(
        command + ["--vendor"] * vendor, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise PackageFailed(done.stderr.strip() or done.stdout.strip())
    return load(folder)


def load(folder: Path) -> Package:
    """Return what was built into *folder*."""
    app = json.loads((folder / "app.json").read_text())
    waiting = [(method, path) for method, path in json.loads((folder / "waiting.json").read_text())]
    return Package(folder / "deployment.zip", resources(), app, waiting)


def resources() -> dict[str, Any]:
    """Return the data template: `resources.yaml`, and for each queue itself, its dead-letter queue and its alarm."""
    template: dict[str, Any] = yaml.safe_load((ROOT / "infra/resources.yaml").read_text())
    for queue in queues.QUEUES:
        template["Resources"] |= _queue(queue)
    return template


def main() -> None:
    """Build a package, as a command."""
    parser = argparse.ArgumentParser(prog="scripts/package", description="Build the Lambda package and its template.")
    parser.add_argument("--stage", default="dev", help="stage of .chalice/config.json (default: %(default)s)")
    parser.add_argument(
        "--folder", type=lambda text: Path(text).resolve(), default=ROOT / "build/package", help="where to put it"
    )
    parser.add_argument("--vendor", action=argparse.BooleanOptionalAction, default=False, help="pack the requirements")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    source = _gather(asked.folder / "source", vendor=asked.vendor)
    template = _package(source, asked.stage, asked.folder)
    size = _unpacked(asked.folder / "deployment.zip")
    if size > MAX_UNPACKED_BYTES:
        raise SystemExit(f"{size / 2**20:.0f} MB unpacked, and Lambda takes {MAX_UNPACKED_BYTES / 2**20:.0f}")
    endpoints = _endpoints()
    waiting = [(endpoint.method, endpoint.path) for endpoint in endpoints if endpoint.waits]
    (asked.folder / "waiting.json").write_text(json.dumps(waiting))
    (asked.folder / "app.json").write_text(json.dumps(mended(template, waiting), indent=1))
    print(f"{asked.folder}: {size / 2**20:.1f} MB unpacked, {len(endpoints)} routes, {len(waiting)} of them wait")


def mended(template: dict[str, Any], waiting: list[tuple[str, str]]) -> dict[str, Any]:
    """Return chalice's *template* with the mends that the module names. Pure."""
    made = copy.deepcopy(template)
    made["Parameters"] = {"Stage": {"Type": "String"}}
    resources = made["Resources"]
    _add_wait_handler(resources)
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Serverless::Function":
            short = {"APIHandler": "api", "WaitHandler": "wait"}.get(name, name.lower())
            _mend_function(resource["Properties"], short)
            for event in resource["Properties"].get("Events", {}).values():
                if event["Type"] == "SQS":
                    _mend_queue_event(resource["Properties"], event["Properties"])
    definition = resources["RestAPI"]["Properties"]["DefinitionBody"]
    _repoint(definition["paths"], waiting)
    for path in definition["paths"].values():
        _answer_every_method(path)
    definition[_GATEWAY_RESPONSES] = _gateway_responses()
    # No answer of ours is binary, and with these types a JSON request may arrive as base64.
    definition.pop("x-amazon-apigateway-binary-media-types", None)
    return made


def _queue(queue: queues.Queue) -> dict[str, Any]:
    """Return the resources of one declaration; its own redrive comes one receive later than the worker's burial."""
    name = queue.name.title()
    fixed = {"MessageRetentionPeriod": queues.RETENTION_SECONDS, "SqsManagedSseEnabled": True}
    dead = {"QueueName": _sub(f"holdfast-${{Stage}}-{queue.dead_letters}"), **fixed}
    alive = {
        "QueueName": _sub(f"holdfast-${{Stage}}-{queue.name}"),
        "VisibilityTimeout": queue.visibility_seconds,
        "RedrivePolicy": {
            "deadLetterTargetArn": {"Fn::GetAtt": [f"{name}DeadLetters", "Arn"]},
            "maxReceiveCount": queue.attempts + 1,
        },
        **fixed,
    }
    alarm = {
        "AlarmName": _sub(f"holdfast-${{Stage}}-{queue.dead_letters}"),
        "AlarmDescription": f"Letters in {queue.dead_letters}: read them with scripts/queues peek",
        "Namespace": "AWS/SQS",
        "MetricName": "ApproximateNumberOfMessagesVisible",
        "Dimensions": [{"Name": "QueueName", "Value": {"Fn::GetAtt": [f"{name}DeadLetters", "QueueName"]}}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    return {
        f"{name}DeadLetters": {"Type": "AWS::SQS::Queue", **kept, "Properties": dead},
        f"{name}Queue": {"Type": "AWS::SQS::Queue", **kept, "Properties": alive},
        f"{name}DeadLettersAlarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm},
    }


def _sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


def _mend_queue_event(function: dict[str, Any], event: dict[str, Any]) -> None:
    """Point the mapping at this stage's queue, as the declaration says; chalice cannot ask for partial failures."""
    name = event["Queue"]["Fn::Sub"].rpartition(":")[2]
    queue = queues.named(name)
    function["Timeout"] = queue.timeout_seconds
    event |= {
        "Queue": _sub(f"arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:holdfast-${{Stage}}-{name}"),
        "BatchSize": queue.batch_size,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": queue.concurrency},
    }


def _gather(source: Path, *, vendor: bool) -> Path:
    """Copy what is packaged into *source*. An empty requirements.txt keeps chalice from fetching by itself."""
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    without = shutil.ignore_patterns("__pycache__", "deployed", "deployments")
    shutil.copy(ROOT / "app.py", source)
    shutil.copytree(ROOT / "chalicelib", source / "chalicelib", ignore=without)
    shutil.copytree(ROOT / ".chalice", source / ".chalice", ignore=without)
    (source / "requirements.txt").touch()
    if vendor:
        shutil.copytree(_wheels(), source / "vendor", ignore=without)
    return source


def _wheels() -> Path:
    """Return a folder with the requirements as Lambda will import them; fetched once per content of the file."""
    requirements = ROOT / "requirements.txt"
    key = hashlib.sha256(f"{requirements.read_text()}{RUNTIME}{PLATFORMS}{wiring.Service}".encode()).hexdigest()[:16]
    folder = ROOT / "build" / f"wheels-{key}"
    if folder.exists():
        return folder
    fetching = folder.with_suffix(".part")
    shutil.rmtree(fetching, ignore_errors=True)
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    version = RUNTIME.removeprefix("python")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(fetching), "--no-compile", *platforms]
    command += ["--python-version", version, "--implementation", "cp", "--only-binary=:all:", "-r", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pip could not fetch the requirements for {RUNTIME}:\n{done.stderr}")
    shutil.rmtree(fetching / "bin", ignore_errors=True)
    _prune(fetching / "botocore/data")
    fetching.rename(folder)
    return folder


def _prune(descriptions: Path) -> None:
    """Leave out what botocore knows of services that no function talks to: most of the package, and of a cold start."""
    kept = set(get_args(wiring.Service))
    for service in descriptions.iterdir():
        if service.is_dir() and service.name not in kept:
            shutil.rmtree(service)


def _package(source: Path, stage: str, folder: Path) -> dict[str, Any]:
    # Chalice wants a region even where nothing of it ends up in the template.
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    from chalice.cli import cli  # noqa: PLC0415 # half a second that --help can do without

    with _inside(source), contextlib.redirect_stdout(io.StringIO()):
        cli(["package", "--stage", stage, "--template-format", "json", str(folder)], obj={}, standalone_mode=False)
    template: dict[str, Any] = json.loads((folder / "sam.json").read_text())
    return template


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    with contextlib.chdir(folder):
        sys.path.insert(0, str(folder))
        yield


def _endpoints() -> list[Any]:
    """Return the routes of the application that chalice has just imported."""
    found: list[Any] = sys.modules["app"].app.endpoints
    return found


def _unpacked(code: Path) -> int:
    with zipfile.ZipFile(code) as package:
        return sum(entry.file_size for entry in package.infolist())


def _add_wait_handler(resources: dict[str, Any]) -> None:
    """Add a second function of the same code for routes that hold a request: its own role, its own concurrency."""
    wait = copy.deepcopy(resources["APIHandler"])
    wait["Properties"] |= {
        "Role": {"Fn::GetAtt": ["WaitHandlerRole", "Arn"]},
        "ReservedConcurrentExecutions": WAITERS,
    }
    role = copy.deepcopy(resources["ApiHandlerRole"])
    policy = json.loads((ROOT / ".chalice/policies/wait.json").read_text())
    role["Properties"]["Policies"] = [{"PolicyName": "WaitHandlerRolePolicy", "PolicyDocument": policy}]
    permission = copy.deepcopy(resources["APIHandlerInvokePermission"])
    permission["Properties"]["FunctionName"] = {"Ref": "WaitHandler"}
    resources |= {"WaitHandler": wait, "WaitHandlerRole": role, "WaitHandlerInvokePermission": permission}


def _mend_function(properties: dict[str, Any], short: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    variables = {
        "HOLDFAST_STAGE": {"Ref": "Stage"},
        "HOLDFAST_SECRET_ID": {"Fn::Sub": "holdfast-${Stage}"},
        "HOLDFAST_VERSION": version,
        "QUEUES_URL_PREFIX": _sub("https://sqs.${AWS::Region}.${AWS::URLSuffix}/${AWS::AccountId}/holdfast-${Stage}-"),
    }
    properties["FunctionName"] = {"Fn::Sub": f"holdfast-${{Stage}}-{short}"}
    properties["Runtime"] = RUNTIME
    given = properties.setdefault("Environment", {}).setdefault("Variables", {})
    properties["Environment"]["Variables"] = {**variables, **given}


def _repoint(paths: dict[str, Any], waiting: list[tuple[str, str]]) -> None:
    for method, path in waiting:
        uri = paths[path][method.lower()][_INTEGRATION]["uri"]
        uri["Fn::Sub"] = uri["Fn::Sub"].replace("${APIHandler.Arn}", "${WaitHandler.Arn}")


def _answer_every_method(path: dict[str, Any]) -> None:
    """Send methods that no route has to the function too: it answers 405, and preflights."""
    fallback = copy.deepcopy(next(iter(path.values())))
    uri = fallback[_INTEGRATION]["uri"]
    uri["Fn::Sub"] = uri["Fn::Sub"].replace("${WaitHandler.Arn}", "${APIHandler.Arn}")
    for method in _METHODS:
        path.setdefault(method, fallback)


def _gateway_responses() -> dict[str, Any]:
    return {kind: _gateway_response(status) for kind, status in _GATEWAY_ERRORS.items()}


def _gateway_response(status: HTTPStatus) -> dict[str, Any]:
    body = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": status.description or status.phrase,
        "requestId": "$context.requestId",
    }
    headers = {"gatewayresponse.header.Content-Type": "'application/problem+json'"}
    if status in _WITH_RETRY:
        headers["gatewayresponse.header.Retry-After"] = "'1'"
    return {
        "statusCode": str(int(status)),
        "responseParameters": headers,
        "responseTemplates": {"application/json": json.dumps(body)},
    }


if __name__ == "__main__":
    main()
