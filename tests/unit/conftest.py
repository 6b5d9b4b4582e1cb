"""Fixtures of unit tests: a real mongod per worker, moto in the place of AWS, the deployed schema on both."""

import io
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
import yaml
from hypothesis import settings as hypothesis
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from pymongo import MongoClient
from pymongo.database import Database

from chalicelib import slices
from chalicelib.approvals import wiring as approvals_wiring
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.queueing import wiring as queueing_wiring
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.runtime import logs, once, settings
from chalicelib.core.stores import binding, clients, driver_errors
from chalicelib.core.stores.binding import Deployment
from chalicelib.core.stores.breaker import Breaker
from chalicelib.sessions import wiring as sessions_wiring
from chalicelib.sessions.store import SessionStore
from chalicelib.users import wiring as users_wiring
from chalicelib.users.store import UserStore
from infra.deployment import indexes
from infra.local.processes.mongod import Mongod

RESOURCES = Path(__file__).resolve().parents[2] / "infra/deployment/resources.yaml"
STAGE = "unit"

# A shared machine is slow at times, and a slow example is not a wrong one.
hypothesis.register_profile("holdfast", deadline=None, max_examples=100)
hypothesis.load_profile("holdfast")


@pytest.fixture(scope="package")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    server = Mongod(tmp_path_factory.mktemp("mongod"))
    server.start()
    with MongoClient[dict[str, Any]](server.uri) as client:
        # Tests of expiry read expired documents, so the TTL monitor is off; tests of the monitor turn it on.
        client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
    yield server
    server.stop()


@pytest.fixture(scope="package", autouse=True)
def environment(mongod: Mongod) -> Iterator[None]:
    """Set the variables of all tests, clear the shell's own, and share a set of clients."""
    ours = tuple({str(section.model_config["env_prefix"]) for section in settings.sections()})
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith((*ours, "AWS_", "POWERTOOLS_"))]:
            patch.delenv(name)
        patch.setenv("HOLDFAST_STAGE", STAGE)
        patch.setenv("MONGODB_URI", mongod.uri)
        # A busy machine may answer late; deadlines have tests of their own.
        patch.setenv("MONGODB_OPERATION_TIMEOUT_MS", "10000")
        # Races need a connection for each of their threads.
        patch.setenv("MONGODB_MAX_POOL_SIZE", "64")
        patch.setenv("HOLDFAST_SIGNING_KEY", "a key for tests")
        # Tests create and count at once; tests of cached totals make a cache of their own.
        patch.setenv("RECORDS_TOTALS_KEPT_MS", "0")
        # Tests list their own writes at once, also on a busy machine.
        patch.setenv("RECORDS_EARLY_WITHIN_MS", "10000")
        patch.setenv("QUEUES_URL_PREFIX", f"https://sqs.us-east-1.amazonaws.com/123456789012/holdfast-{STAGE}-")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        indexes.ensure(clients.mongodb())
        yield
        clients.mongodb().client.close()
    forget()


def forget() -> None:
    """Clear this process's caches: settings, clients, stores."""
    once.forget()
    settings.forget()


@pytest.fixture(autouse=True)
def closed_breakers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let calls reach the stores however often calls failed before: many tests lose answers of a store on purpose."""
    never = 10**9
    mongodb, aws = Breaker("MongoDB", threshold=never), Breaker("An AWS service", threshold=never)
    monkeypatch.setattr(driver_errors, "mongodb_breaker", lambda: mongodb)
    monkeypatch.setattr(driver_errors, "aws_breaker", lambda _service: aws)


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set options for one test."""

    def use(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        settings.forget()

    yield use
    settings.forget()


@pytest.fixture
def mongodb() -> Database[dict[str, Any]]:
    """Every collection empty, with its indexes."""
    # Thousands of documents take longer than an operation of the service may, on a busy machine.
    with pymongo.timeout(60):
        for collection in slices.indexes():
            clients.mongodb()[collection].delete_many({})
    return clients.mongodb()


@pytest.fixture
def approvals(mongodb: Database[dict[str, Any]]) -> ApprovalStore:
    return approvals_wiring.store()


@pytest.fixture
def sessions(mongodb: Database[dict[str, Any]]) -> SessionStore:
    return sessions_wiring.store()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Moto behind every client of this process."""
    # DynamoDB serializes writes of an item; moto does not, so calls of many threads take turns.
    turn, answer = threading.RLock(), BotocoreStubber.__call__

    def in_turn(stubber: BotocoreStubber, event_name: str, request: Any, **more: Any) -> Any:
        with turn:
            return answer(stubber, event_name, request, **more)

    monkeypatch.setattr(BotocoreStubber, "__call__", in_turn)
    with mock_aws():
        yield


@pytest.fixture
def dynamodb(aws: None) -> Any:
    """DynamoDB with the tables of `infra/deployment/resources.yaml`."""
    client = clients.aws("dynamodb")
    for resource in resources()["Resources"].values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            client.create_table(**_table(resource["Properties"]))
    return client


@pytest.fixture
def bound(mongodb: Database[dict[str, Any]], dynamodb: Any) -> Deployment:
    """This deployment, whose mark the database carries."""
    mongodb[binding.COLLECTION].delete_many({})
    ours = binding.ensure_deployment(clients.table("coordination"), STAGE)
    binding.bind(mongodb, ours)
    return ours


@pytest.fixture
def users(dynamodb: Any) -> UserStore:
    return users_wiring.store()


@pytest.fixture
def mail(aws: None) -> Sender:
    """Every queue, and its dead-letter queue, empty."""
    for queue in slices.QUEUES:
        for name in (queue.name, queue.dead_letters):
            clients.aws("sqs").create_queue(QueueName=f"holdfast-{STAGE}-{name}")
    return queueing_wiring.sender()


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> "Printed":
    """Capture the log lines of the process while the test runs."""
    logs.logger()
    stream = Printed()
    for handler in logging.getLogger("holdfast").handlers:
        monkeypatch.setattr(handler, "stream", stream)
    return stream


class Printed(io.StringIO):
    """A stream of JSON log lines."""

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


def resources() -> dict[str, Any]:
    """Return the template of the data stack, with names of this stage."""
    template: dict[str, Any] = _named(yaml.safe_load(RESOURCES.read_text()))
    return template


def _table(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of CreateTable for a table's *properties*."""
    known = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    wanted = {name: properties[name] for name in known if name in properties}
    if stream := properties.get("StreamSpecification"):
        # A template enables a stream by naming the stream.
        wanted["StreamSpecification"] = {"StreamEnabled": True, **stream}
    return wanted


def _named(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"Fn::Sub"}:
            return value["Fn::Sub"].replace("${Stage}", STAGE)
        return {name: _named(inner) for name, inner in value.items()}
    return [_named(inner) for inner in value] if isinstance(value, list) else value
