"""Each function may do what its own work needs and nothing else, and imports what is packaged and nothing else."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import botocore.session
import pytest
from botocore.exceptions import ClientError

from infra.local.clients import ROOT_KEYS
from infra.local.stack import Stack
from tests.stack import STAGE

pytestmark = pytest.mark.stack

USERS, COORDINATION = f"holdfast-{STAGE}-users", f"holdfast-{STAGE}-coordination"
_KEY = {"pk": {"S": "user#nobody"}}


class Deed(NamedTuple):
    """Something that can be done with AWS, and the functions that must be able to."""

    name: str
    service: str
    do: Callable[[Any], object]
    allowed: frozenset[str] = frozenset()


def _query(index: str, key: str) -> Callable[[Any], object]:
    return lambda client: client.query(
        TableName=USERS,
        IndexName=index,
        KeyConditionExpression=f"{key} = :value",
        ExpressionAttributeValues={":value": {"S": "user"}},
    )


def _update(client: Any) -> object:
    # A condition that fails shows the right without using it.
    return client.update_item(
        TableName=USERS, Key=_KEY, UpdateExpression="REMOVE dismiss", ConditionExpression="attribute_exists(pk)"
    )


def _delete(client: Any) -> object:
    return client.delete_item(TableName=USERS, Key=_KEY, ConditionExpression="attribute_exists(pk)")


def _put(client: Any) -> object:
    return client.put_item(TableName=USERS, Item=_KEY, ConditionExpression="attribute_exists(pk)")


def _claim(client: Any) -> object:
    return client.put_item(TableName=COORDINATION, Item=_KEY, ConditionExpression="attribute_exists(pk)")


def _finish(client: Any) -> object:
    return client.update_item(
        TableName=COORDINATION, Key=_KEY, UpdateExpression="REMOVE x", ConditionExpression="attribute_exists(pk)"
    )


DEEDS = [
    Deed("read a user", "dynamodb", lambda c: c.get_item(TableName=USERS, Key=_KEY), frozenset({"api", "wait"})),
    Deed("make a user", "dynamodb", _put, frozenset({"api"})),
    Deed("change a user", "dynamodb", _update, frozenset({"api", "sweep"})),
    Deed("delete a user", "dynamodb", _delete, frozenset({"api", "sweep"})),
    Deed("list users", "dynamodb", _query("by-kind", "kind"), frozenset({"api"})),
    Deed("find dismissals", "dynamodb", _query("by-dismiss", "dismiss"), frozenset({"sweep"})),
    Deed("make a claim", "dynamodb", _claim, frozenset({"api", "wait"})),
    Deed("finish a claim", "dynamodb", _finish, frozenset({"api", "wait"})),
    Deed("forget a claim", "dynamodb", lambda c: c.delete_item(TableName=COORDINATION, Key=_KEY)),
    Deed("read every claim", "dynamodb", lambda c: c.scan(TableName=COORDINATION)),
    Deed("read the whole table", "dynamodb", lambda c: c.scan(TableName=USERS)),
    Deed("delete the table", "dynamodb", lambda c: c.delete_table(TableName=USERS)),
    Deed("read another table", "dynamodb", lambda c: c.get_item(TableName="another", Key=_KEY)),
    Deed(
        "read the secret",
        "secretsmanager",
        lambda c: c.get_secret_value(SecretId=f"holdfast-{STAGE}"),
        frozenset({"api", "wait", "sweep"}),
    ),
    Deed("read another secret", "secretsmanager", lambda c: c.get_secret_value(SecretId="another")),
    Deed("list secrets", "secretsmanager", lambda c: c.list_secrets()),
    Deed("list buckets", "s3", lambda c: c.list_buckets()),
    Deed("call a function", "lambda", lambda c: c.invoke(FunctionName=f"holdfast-{STAGE}-api", Payload=b"{}")),
    Deed("change a function", "lambda", lambda c: c.delete_function(FunctionName=f"holdfast-{STAGE}-api")),
    Deed("make itself a user", "iam", lambda c: c.create_user(UserName="itself")),
]


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.name.replace(" ", "-"))
@pytest.mark.parametrize("function", ["api", "wait", "sweep"])
def test_a_function_may_do_what_its_work_needs_and_nothing_else(stack: Stack, function: str, deed: Deed) -> None:
    client = _as_function(stack, function, deed.service)
    assert _may(lambda: deed.do(client)) == (function in deed.allowed)


def _may(do: Callable[[], object]) -> bool:
    try:
        do()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"AccessDenied", "AccessDeniedException"}:
            return False
        if code != "ConditionalCheckFailedException":
            raise
    return True


def _as_function(stack: Stack, function: str, service: str) -> Any:
    """Return a client with the rights of *function*'s role."""
    role = stack.client("lambda").get_function_configuration(FunctionName=f"holdfast-{STAGE}-{function}")["Role"]
    lent = stack.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return botocore.session.Session().create_client(
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
    """A scratch function that says what it can import and what its environment is."""
    functions = stack.client("lambda")
    role = functions.get_function_configuration(FunctionName=f"holdfast-{STAGE}-sweep")["Role"]
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as code:
        code.writestr("probe.py", _PROBE)
    functions.create_function(
        FunctionName="probe",
        Role=role,
        Runtime="python3.12",
        Handler="probe.handler",
        Code={"ZipFile": package.getvalue()},
    )

    def ask(names: list[str]) -> dict[str, Any]:
        answer = functions.invoke(FunctionName="probe", Payload=json.dumps({"names": names}).encode())
        assert "FunctionError" not in answer
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        return found

    yield ask
    functions.delete_function(FunctionName="probe")


def test_a_function_imports_what_is_required_and_nothing_of_the_laptop(
    probe: Callable[[list[str]], dict[str, Any]],
) -> None:
    shipped = ["argon2", "aws_lambda_powertools", "botocore", "itsdangerous", "pydantic", "pydantic_settings"]
    shipped += ["pymongo", "ulid"]
    # Tools of the laptop, the emulator and its own packages, and this repository.
    absent = ["aiohttp", "boto3", "hypercorn", "infra", "ministack", "moto", "pytest", "requests", "rich", "tests"]
    assert probe([*shipped, *absent])["imports"] == dict.fromkeys(shipped, True) | dict.fromkeys(absent, False)


def test_nothing_of_our_shell_reaches_a_function(probe: Callable[[list[str]], dict[str, Any]]) -> None:
    environment = probe([])["environment"]
    # pytest sets this one in every process it starts.
    assert "PYTEST_VERSION" not in environment
    assert not {name for name in environment if name.startswith(("PIP_", "PYTEST_", "VIRTUAL_ENV"))}
