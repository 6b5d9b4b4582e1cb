"""A repeated call is compared with the first as JSON, by a hash that nobody can guess a password from."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.stores import clients
from chalicelib.core.stores.attributes import from_attributes
from chalicelib.core.web.roles import Role
from tests.support.gateway import Answer, ask
from tests.support.users import signed_in
from tests.unit.conftest import STAGE

Mongo = Database[dict[str, Any]]

BOB = '{"username": "bob", "password": "correct horse", "roles": ["service"]}'
QUESTION = {"username": "ann", "wait": False, "timeoutMs": 30000, "data": {"a": 1, "b": [True, 2]}}


@pytest.fixture
def admin(dynamodb: Any, mongodb: Mongo, mail: Any) -> str:
    signed_in("ann")
    return signed_in("root", Role.ADMIN)


def post(token: str, path: str, text: str) -> Answer:
    return ask("POST", path, text=text, token=token, headers={"Idempotency-Key": "one"})


def former(path: str, text: str) -> str:
    """Return the fingerprint of a call as earlier versions stored it: SHA-256 alone."""
    part = hashlib.sha256(f"{path}\n{text}".encode()).digest()
    return hashlib.sha256(part).hexdigest()


def stored(dynamodb: Any) -> dict[str, Any]:
    items = dynamodb.scan(TableName=f"holdfast-{STAGE}-coordination")["Items"]
    (claim,) = [item for item in map(from_attributes, items) if item["pk"].startswith("claim#")]
    return claim


def test_stored_fingerprint_is_keyed(admin: str, dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a call whose body is known but for the password
    assert post(admin, "/api/users", BOB).status == 201
    fingerprint = stored(dynamodb)["fingerprint"]
    canonical = json.dumps(json.loads(BOB), separators=(",", ":"), sort_keys=True)
    parts = [hashlib.sha256(part.encode()).digest() for part in ("/api/users", canonical)]
    # Then only the deployment's key leads from the body to the fingerprint
    content = hashlib.sha256(b"".join(parts)).hexdigest()
    assert fingerprint not in {former("/api/users", BOB), content}
    assert fingerprint == hmac.digest(clients.signing_key("idempotency"), content.encode(), "sha256").hex()


@pytest.mark.parametrize(
    "again",
    [
        '{"roles":["service"],"password":"correct horse","username":"bob"}',
        ' {"username" : "b\\u006fb",\n"password":"correct horse", "roles":[ "service" ]}\n',
    ],
)
def test_the_same_json_in_other_bytes_is_replayed(admin: str, again: str) -> None:
    first, second = post(admin, "/api/users", BOB), post(admin, "/api/users", again)
    assert (first.status, second.status, second.json) == (201, 201, first.json)
    assert second.headers["Idempotency-Replayed"] == "true"


def test_whole_numbers_are_the_same_with_and_without_a_point(admin: str) -> None:
    first = post(admin, "/send-notification", json.dumps(QUESTION))
    text = json.dumps(QUESTION).replace("30000", "3.0E4").replace('"a": 1', '"a": 1.0')
    assert post(admin, "/send-notification", text).json == first.json


@pytest.mark.parametrize("data", [{"a": 1, "b": [2, True]}, {"a": True, "b": [True, 2]}, {"a": "1", "b": [True, 2]}])
def test_another_json_value_is_another_call(admin: str, data: Any) -> None:
    assert post(admin, "/send-notification", json.dumps(QUESTION)).status == 202
    assert post(admin, "/send-notification", json.dumps({**QUESTION, "data": data})).status == 422


def test_missing_body_counts_as_an_empty_object(admin: str) -> None:
    assert post(admin, "/api/sessions/current/ticket", "").status == 201
    # 409, as the answer held a secret.
    assert post(admin, "/api/sessions/current/ticket", "{}").status == 409
    assert post(admin, "/api/sessions/current/ticket", '{"path": "/a"}').status == 422


def test_body_that_is_no_json_is_compared_where_no_body_is_read(admin: str) -> None:
    path = "/api/pending-responses/cleanup"
    for text in ("nonsense", "nonsense"):
        assert post(admin, path, text).status == 200
    for text in ("other", "[" * 100_000, "1" * 5000):
        assert post(admin, path, text).status == 422


def test_claim_of_an_earlier_version_is_still_replayed(admin: str, dynamodb: Any) -> None:
    first = post(admin, "/api/users", BOB)
    dynamodb.update_item(
        TableName=f"holdfast-{STAGE}-coordination",
        Key={"pk": {"S": stored(dynamodb)["pk"]}},
        UpdateExpression="SET fingerprint = :former",
        ExpressionAttributeValues={":former": {"S": former("/api/users", BOB)}},
    )
    assert post(admin, "/api/users", BOB).json == first.json
    assert post(admin, "/api/users", BOB.replace("horse", "house")).status == 422


def test_claim_of_an_earlier_version_is_taken_over(dynamodb: Any) -> None:
    claims = coordination_wiring.claims()
    first = claims.begin("work", ttl_seconds=60, fingerprint="old")
    claims.abandon(first)
    again = claims.begin("work", ttl_seconds=60, fingerprint="new", former=lambda: "old")
    assert (again.resource_id, again.taken_over) == (first.resource_id, True)
