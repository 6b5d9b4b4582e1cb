"""Each function has the rights that its work needs and no others, and imports its package alone."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from infra.host.interpreter import RUNTIME
from infra.local.clients import ROOT_KEYS
from infra.local.stack import Stack
from tests.support.stack import STAGE
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

#: Shared by every client, as reading a service's description is slow.
_SESSION = botocore.session.Session()
_KEY = {"pk": {"S": "user#nobody"}}
_VERSION = {**_KEY, "version": {"N": "1"}}
_LETTER = {**_KEY, "id": {"S": "1"}}
#: A write without effect, for batches, which take no condition.
_NOTHING = {"DeleteRequest": {"Key": _VERSION}}
#: A failing condition or an invalid delay shows the right without an effect.
_NEVER = "attribute_exists(pk)"
_USED = {"ConditionalCheckFailedException", "InvalidParameterValue", "TransactionCanceledException"}
Asked = dict[str, Any]
_FUNCTIONS = (
    "api",
    "sweep",
    "project",
    "repair",
    "reconcile",
    "deadletters",
    "event",
    "webhook",
    "post",
    "activation",
    "mail",
)


class AwsCall(NamedTuple):
    """A call of AWS, and the functions with the right to make the call."""

    name: str
    service: str
    do: Callable[[Any], object]
    allowed: frozenset[str] = frozenset()


def _table(name: str, table: str, what: str, asked: Asked, allowed: str = "") -> AwsCall:
    """Return the call *what* of a *table*; *allowed* names functions."""
    asked = {"TableName": f"holdfast-{STAGE}-{table}", **asked}
    return AwsCall(name, "dynamodb", lambda client: getattr(client, what)(**asked), frozenset(allowed.split()))


def _batch(name: str, table: str, what: str, asked: Any, allowed: str = "") -> AwsCall:
    asked = {f"holdfast-{STAGE}-{table}": asked}
    return AwsCall(
        name, "dynamodb", lambda client: getattr(client, what)(RequestItems=asked), frozenset(allowed.split())
    )


def _queue(name: str, queue: str, what: str, asked: Asked, allowed: str = "") -> AwsCall:
    def do(client: Any) -> object:
        url = f"{client.meta.endpoint_url}/000000000000/holdfast-{STAGE}-{queue}"
        return getattr(client, what)(QueueUrl=url, **asked)

    return AwsCall(name, "sqs", do, frozenset(allowed.split()))


def _query(index: str, key: str) -> Asked:
    return {
        "IndexName": index,
        "KeyConditionExpression": f"{key} = :value",
        "ExpressionAttributeValues": {":value": {"S": "user"}},
    }


_ONE: Asked = {"Key": _KEY}
_PUT: Asked = {"Item": _KEY, "ConditionExpression": _NEVER}
_CHANGE: Asked = {"Key": _KEY, "UpdateExpression": "REMOVE dismiss", "ConditionExpression": _NEVER}
_DELETE: Asked = {"Key": _KEY, "ConditionExpression": _NEVER}
_SEND: Asked = {"MessageBody": "{}", "DelaySeconds": -1}
_VERSIONS: Asked = {"KeyConditionExpression": "pk = :value", "ExpressionAttributeValues": {":value": {"S": "nobody"}}}
_LOCK: Asked = {"TableName": f"holdfast-{STAGE}-coordination", "Key": _KEY, "ConditionExpression": _NEVER}

CALLS = [
    # The sweep checks the keys of connections.
    _table("read a user", "users", "get_item", _ONE, "api sweep post"),
    _table("make a user", "users", "put_item", _PUT, "api activation"),
    _table("change a user", "users", "update_item", _CHANGE, "api sweep mail"),
    _table("delete a user", "users", "delete_item", _DELETE, "api sweep"),
    _table("list users", "users", "query", _query("by-kind", "kind"), "api"),
    _table("find dismissals", "users", "query", _query("by-dismiss", "dismiss"), "sweep"),
    _table("read every user", "users", "scan", {}),
    _table("delete the table", "users", "delete_table", {}),
    _table("read a claim", "coordination", "get_item", _ONE, "api repair reconcile event webhook post activation mail"),
    _table("make a claim", "coordination", "put_item", _PUT, "api repair event webhook post activation mail"),
    # For webhooks, also to take a token of a rate.
    _table(
        "finish a claim",
        "coordination",
        "update_item",
        _CHANGE,
        "api repair reconcile event webhook post activation mail",
    ),
    _table("forget a claim", "coordination", "delete_item", _DELETE),
    _table("read every claim", "coordination", "scan", {}),
    AwsCall(
        "demand a lock",
        "dynamodb",
        lambda client: client.transact_write_items(TransactItems=[{"ConditionCheck": _LOCK}]),
        frozenset({"api"}),
    ),
    # A webhook is a record; one that only fails is disabled.
    _table("read a record", "records", "get_item", _ONE, "api repair webhook sweep"),
    _batch("read some records", "records", "batch_get_item", {"Keys": [_KEY]}, "api reconcile"),
    _table("read every record", "records", "scan", {}, "reconcile"),
    _table("change a record", "records", "update_item", _CHANGE, "api webhook sweep"),
    _table("put over a record", "records", "put_item", _PUT),
    _table("delete a record", "records", "delete_item", _DELETE),
    _table("list versions", "history", "query", _VERSIONS, "api"),
    _batch("find versions", "history", "batch_get_item", {"Keys": [_VERSION]}, "repair reconcile event"),
    _batch("write versions", "history", "batch_write_item", [_NOTHING], "project repair reconcile"),
    _table("tell of a lost version", "history", "put_item", {**_PUT, "Item": _VERSION}, "repair reconcile"),
    _table("change a version", "history", "update_item", {**_CHANGE, "Key": _VERSION}),
    _table("read an entry", "ledger", "get_item", _ONE, "api"),
    _batch("list entries", "ledger", "batch_get_item", {"Keys": [_KEY]}, "api"),
    _table("add an entry", "ledger", "put_item", _PUT, "api"),
    _table("move the ledger's head", "ledger", "update_item", _CHANGE, "api"),
    _table("delete an entry", "ledger", "delete_item", _DELETE),
    _table("store a dead letter", "dead-letters", "put_item", {**_PUT, "Item": _LETTER}, "deadletters"),
    _table("list dead letters", "dead-letters", "query", _VERSIONS, "api sweep"),
    _batch("delete dead letters", "dead-letters", "batch_write_item", [{"DeleteRequest": {"Key": _LETTER}}], "api"),
    _table("change a dead letter", "dead-letters", "update_item", {**_CHANGE, "Key": _LETTER}),
    _queue("take dead letters", "approval-dead", "receive_message", {}, "deadletters"),
    _queue("have an approval followed", "approval", "send_message", _SEND, "api sweep"),
    # The API sends dead letters back to every queue.
    _queue("have a record mended", "repair", "send_message", _SEND, "api project reconcile"),
    _queue("bury what cannot be mended", "repair-dead", "send_message", _SEND, "repair"),
    _queue("take what is to be mended", "repair", "receive_message", {}, "repair"),
    _queue("have an event told", "event", "send_message", _SEND, "api project repair reconcile activation mail"),
    _queue("take events", "event", "receive_message", {}, "event"),
    _queue("wake a webhook", "webhook", "send_message", _SEND, "api event webhook sweep"),
    _queue("take what wakes webhooks", "webhook", "receive_message", {}, "webhook"),
    _queue("have a message stored later", "post", "send_message", _SEND, "api"),
    _queue("have a receiver notified", "notice", "send_message", _SEND, "api sweep post"),
    _queue("wake an activation", "activation", "send_message", _SEND, "api sweep activation"),
    _queue("wake the mails", "mail", "send_message", _SEND, "api sweep activation mail"),
    _queue("take what wakes the mails", "mail", "receive_message", {}, "mail"),
    _queue("take messages to store", "post", "receive_message", {}, "post"),
    AwsCall("read another table", "dynamodb", lambda c: c.get_item(TableName="another", Key=_KEY)),
    AwsCall(
        "read the secret",
        "secretsmanager",
        lambda c: c.get_secret_value(SecretId=f"holdfast-{STAGE}"),
        frozenset(_FUNCTIONS),
    ),
    AwsCall("read another secret", "secretsmanager", lambda c: c.get_secret_value(SecretId="another")),
    AwsCall("list secrets", "secretsmanager", lambda c: c.list_secrets()),
    AwsCall("list buckets", "s3", lambda c: c.list_buckets()),
    AwsCall("call a function", "lambda", lambda c: c.invoke(FunctionName=f"holdfast-{STAGE}-api", Payload=b"{}")),
    AwsCall("change a function", "lambda", lambda c: c.delete_function(FunctionName=f"holdfast-{STAGE}-api")),
    AwsCall("make itself a user", "iam", lambda c: c.create_user(UserName="itself")),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name.replace(" ", "-"))
@pytest.mark.parametrize("function", _FUNCTIONS)
def test_a_function_has_exactly_the_rights_of_its_work(stack: Stack, function: str, call: AwsCall) -> None:
    client = _as_function(stack, function, call.service)
    assert _may(lambda: call.do(client)) == (function in call.allowed)


def _may(do: Callable[[], object]) -> bool:
    try:
        do()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"AccessDenied", "AccessDeniedException"}:
            return False
        if code not in _USED:
            raise
    return True


@cache
def _as_function(stack: Stack, function: str, service: str) -> Any:
    """Return a client with the rights of *function*'s role."""
    role = stack.client("lambda").get_function_configuration(FunctionName=f"holdfast-{STAGE}-{function}")["Role"]
    assume = partial(stack.client("sts").assume_role, RoleArn=role, RoleSessionName="test")
    # The emulator answers 500 in a form of its own while another call changes its roles.
    lent = eventually(assume, retry=ResponseParserError)["Credentials"]
    return _SESSION.create_client(
        service,
        endpoint_url=stack.endpoint_url,
        region_name=ROOT_KEYS.region,
        aws_access_key_id=lent["AccessKeyId"],
        aws_secret_access_key=lent["SecretAccessKey"],
        aws_session_token=lent["SessionToken"],
    )


_PROBE = """
import importlib, os

def handler(event, context):
    return {"imports": {name: found(name) for name in event["names"]}, "environment": dict(os.environ)}

def found(name):
    try:
        importlib.import_module(name)
        return True
    except ModuleNotFoundError:
        return False
"""


@pytest.fixture(scope="module")
def probe(stack: Stack) -> Iterator[Callable[[list[str]], dict[str, Any]]]:
    """An extra function that reports its importable modules and its environment."""
    functions = stack.client("lambda")
    role = functions.get_function_configuration(FunctionName=f"holdfast-{STAGE}-sweep")["Role"]
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as code:
        code.writestr("probe.py", _PROBE)
    functions.create_function(
        FunctionName="probe",
        Role=role,
        Runtime=RUNTIME,
        Handler="probe.handler",
        Code={"ZipFile": package.getvalue()},
        # Three seconds by default, in which a machine under load does not import all that is asked.
        Timeout=60,
    )
    functions.get_waiter("function_active").wait(FunctionName="probe", WaiterConfig={"Delay": 1, "MaxAttempts": 120})

    def ask(names: list[str]) -> dict[str, Any]:
        answer = functions.invoke(FunctionName="probe", Payload=json.dumps({"names": names}).encode())
        assert "FunctionError" not in answer
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        return found

    yield ask
    functions.delete_function(FunctionName="probe")


def test_a_function_imports_its_package_and_no_local_tools(
    probe: Callable[[list[str]], dict[str, Any]],
) -> None:
    shipped = ["argon2", "aws_lambda_powertools", "botocore", "itsdangerous", "pydantic", "pydantic_settings"]
    shipped += ["pymongo", "ulid"]
    # Tools of the laptop, the emulator and its own packages, and this repository.
    absent = ["aiohttp", "boto3", "hypercorn", "infra", "ministack", "moto", "pytest", "requests", "rich", "tests"]
    assert probe([*shipped, *absent])["imports"] == dict.fromkeys(shipped, True) | dict.fromkeys(absent, False)


def test_variables_of_the_shell_do_not_reach_a_function(probe: Callable[[list[str]], dict[str, Any]]) -> None:
    environment = probe([])["environment"]
    # pytest sets this variable in every process.
    assert "PYTEST_VERSION" not in environment
    assert not {name for name in environment if name.startswith(("PIP_", "PYTEST_", "VIRTUAL_ENV"))}
