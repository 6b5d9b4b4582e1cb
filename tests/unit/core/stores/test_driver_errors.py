"""Errors of the real drivers: an unreachable store is `Unavailable`, other errors pass through."""

import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from chalicelib.core.errors import Unavailable
from chalicelib.core.stores import clients
from chalicelib.core.stores.driver_errors import reaching_aws, reaching_mongodb
from infra.host import ports
from infra.local.processes.mongod import Mongod

QUICK = Config(connect_timeout=0.3, read_timeout=0.3, retries={"total_max_attempts": 1})


def dynamodb(port: int) -> Any:
    return botocore.session.get_session().create_client(
        "dynamodb",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",
        config=QUICK,
    )


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


# --- MongoDB


def test_absent_mongodb_server_is_unavailable() -> None:
    where = f"mongodb://127.0.0.1:{ports.free()}/?timeoutMS=300"
    with MongoClient[dict[str, Any]](where) as client, pytest.raises(Unavailable), reaching_mongodb():
        client.holdfast.anything.find_one({})


def test_silent_mongodb_server_is_unavailable(mute: int) -> None:
    where = f"mongodb://127.0.0.1:{mute}/?directConnection=true&timeoutMS=300&connectTimeoutMS=200"
    with MongoClient[dict[str, Any]](where) as client, pytest.raises(Unavailable), reaching_mongodb():
        client.holdfast.anything.find_one({})


def test_a_server_slower_than_the_deadline_is_unavailable(mongod: Mongod) -> None:
    with MongoClient[dict[str, Any]](mongod.uri, timeoutMS=200) as client:
        client.holdfast.slow.insert_one({"_id": 1})
        with pytest.raises(Unavailable), reaching_mongodb():
            client.holdfast.slow.find_one({"$where": "sleep(2000) || true"})
        client.holdfast.slow.drop()


def test_a_server_that_is_no_primary_is_unavailable(mongod: Mongod) -> None:
    # Given a replica set with one member, addressed by another set name
    where = f"mongodb://127.0.0.1:{mongod.port}/?replicaSet=another&timeoutMS=300"
    with MongoClient[dict[str, Any]](where) as client, pytest.raises(Unavailable), reaching_mongodb():
        client.holdfast.anything.insert_one({})


def test_command_refused_by_mongodb_is_not_unavailable(mongod: Mongod) -> None:
    with MongoClient[dict[str, Any]](mongod.uri) as client, pytest.raises(OperationFailure), reaching_mongodb():
        client.holdfast.anything.find_one({"$nonsense": 1})


# --- AWS


def test_absent_aws_endpoint_is_unavailable() -> None:
    with pytest.raises(Unavailable), reaching_aws("dynamodb"):
        dynamodb(ports.free()).list_tables()


def test_silent_aws_endpoint_is_unavailable(mute: int) -> None:
    with pytest.raises(Unavailable), reaching_aws("dynamodb"):
        dynamodb(mute).list_tables()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 400),
        ("ProvisionedThroughputExceededException", 400),
        ("RequestLimitExceeded", 400),
        ("InternalServerError", 500),
        ("ServiceUnavailable", 503),
    ],
)
def test_a_service_that_is_busy_or_broken_is_unavailable(code: str, status: int) -> None:
    client = dynamodb(1)
    with Stubber(client) as stubber:
        stubber.add_client_error("list_tables", code, "the service's own words", http_status_code=status)
        with pytest.raises(Unavailable) as raised, reaching_aws("dynamodb"):
            client.list_tables()
    assert "own words" not in str(raised.value)


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException", "ResourceNotFoundException"])
def test_request_refused_by_aws_is_not_unavailable(code: str) -> None:
    client = dynamodb(1)
    with Stubber(client) as stubber:
        stubber.add_client_error("list_tables", code)
        with pytest.raises(ClientError), reaching_aws("dynamodb"):
            client.list_tables()


def test_other_errors_pass_as_they_are() -> None:
    for reaching in (partial(reaching_aws, "dynamodb"), reaching_mongodb):
        with pytest.raises(ZeroDivisionError), reaching():
            raise ZeroDivisionError


# --- secrets


def test_secret_is_read_from_the_deployments_entry(aws: None, options: Any) -> None:
    # Given
    options(HOLDFAST_SECRET_ID="holdfast-unit")
    clients.aws("secretsmanager").create_secret(
        Name="holdfast-unit", SecretString='{"signingKey": "made by the stack"}'
    )
    clients.secret.cache_clear()
    clients._secrets.cache_clear()
    # Then
    assert clients.secret("signingKey") == "made by the stack"
    clients.secret.cache_clear()
    clients._secrets.cache_clear()
