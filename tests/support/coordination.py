"""Locks, claims and rates of the deployed table, called directly and from many threads."""

import secrets
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from chalicelib.core.coordination.claims import Claims
from chalicelib.core.coordination.locks import Locks
from chalicelib.core.errors import ServiceError
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores.dynamodb import Table
from infra.local.stack import Stack
from tests.support.client import at_once
from tests.support.stack import STAGE

THREADS = 64
SETTINGS = CoordinationSettings()


@pytest.fixture(scope="module")
def dynamodb(stack: Stack) -> Any:
    """The deployed DynamoDB, with a connection for each thread."""
    keys = stack.environment
    return botocore.session.Session().create_client(
        "dynamodb",
        endpoint_url=stack.endpoint_url,
        region_name=keys["AWS_REGION"],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        config=Config(max_pool_connections=THREADS, retries={"mode": "standard", "total_max_attempts": 2}),
    )


@pytest.fixture(scope="module")
def table(dynamodb: Any) -> Table:
    return Table(dynamodb, f"holdfast-{STAGE}-coordination")


@pytest.fixture(scope="module")
def locks(table: Table) -> Locks:
    return Locks(table, SETTINGS)


@pytest.fixture(scope="module")
def claims(table: Table) -> Claims:
    return Claims(table, SETTINGS)


@pytest.fixture
def name(dynamodb: Any) -> str:
    """A unique name."""
    return f"n-{secrets.token_hex(6)}"


def call_from_all_threads(call: Any) -> list[Any]:
    """Make the call from all threads at once; return the result or refusal of each."""

    def attempt() -> Any:
        try:
            return call()
        except ServiceError as refused:
            return refused

    return at_once([attempt] * THREADS)
