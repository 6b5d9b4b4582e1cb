"""The connection string in the stage's secret: stored where there is none, and never replaced."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.deployment import secret
from tests.unit.conftest import STAGE

NAME, URI = f"holdfast-{STAGE}", "mongodb://db.example.org/shop"


@pytest.fixture
def secrets(client: Callable[[str], Any]) -> Any:
    return client("secretsmanager")


def content(secrets: Any) -> dict[str, str]:
    found: dict[str, str] = json.loads(secrets.get_secret_value(SecretId=NAME)["SecretString"])
    return found


def test_secret_without_connection_string_is_completed_once(secrets: Any) -> None:
    secrets.create_secret(Name=NAME, SecretString='{"signingKey": "key", "fcmServiceAccount": {"type": "any"}}')
    assert secret.complete(secrets, STAGE, URI)
    assert content(secrets) == {"signingKey": "key", "fcmServiceAccount": {"type": "any"}, "mongodbUri": URI}
    assert secret.mongodb_uri(secrets, STAGE) == URI
    # Functions may reach MongoDB by another address than operators.
    assert not secret.complete(secrets, STAGE, "mongodb://other.example.org")
    assert content(secrets)["mongodbUri"] == URI


def test_stage_without_a_secret_has_no_connection_string(secrets: Any) -> None:
    assert not secret.complete(secrets, STAGE, URI)
    assert secret.mongodb_uri(secrets, STAGE) == ""
