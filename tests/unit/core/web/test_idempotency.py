"""A call repeated with its Idempotency-Key gets the first answer, and does its work once."""

import json
from collections.abc import Callable
from functools import partial
from time import time
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.coordination.errors import ClaimLost
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.stores.attributes import from_attributes
from chalicelib.core.web.roles import Role
from tests.support.concurrency import race
from tests.support.gateway import Answer, ask
from tests.support.users import signed_in
from tests.unit.conftest import STAGE

Mongo = Database[dict[str, Any]]
Call = Callable[[str], Answer]

COORDINATION, USERS = f"holdfast-{STAGE}-coordination", f"holdfast-{STAGE}-users"
KEY = {"Idempotency-Key": "first-try"}
BOB: dict[str, Any] = {"username": "bob", "password": "correct horse", "roles": ["service"]}
DEATHS = 50


class Death(BaseException):
    """The process died: no later statement runs."""


@pytest.fixture
def admin(dynamodb: Any, mongodb: Mongo, mail: Sender) -> str:
    return signed_in("root", Role.ADMIN)


@pytest.fixture
def ann(admin: str) -> str:
    return signed_in("ann")


@pytest.fixture
def claims(dynamodb: Any) -> Callable[[], list[dict[str, Any]]]:
    """Return the stored claims of calls."""

    def kept() -> list[dict[str, Any]]:
        items = [from_attributes(item) for item in dynamodb.scan(TableName=COORDINATION)["Items"]]
        return [item for item in items if item["pk"].startswith("claim#")]

    return kept


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch, dynamodb: Any) -> Callable[[Callable[[], Answer]], None]:
    """Make a call whose process dies between work and answer, and let its lease expire."""
    held: list[Claim] = []

    def die(_: Claims, claim: Claim, *_result: Any) -> None:
        held.append(claim)
        raise Death

    def make(call: Callable[[], Answer]) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Claims, "finish", die)
            with pytest.raises(Death):
                call()
        # Until the lease expires, a repeat is refused.
        assert call().status == 409
        dynamodb.update_item(
            TableName=COORDINATION,
            Key={"pk": {"S": f"claim#{held.pop().key}"}},
            UpdateExpression="SET leaseUntil = :over",
            ExpressionAttributeValues={":over": {"N": "1"}},
        )

    return make


def create(token: str, body: Any = None, key: str = KEY["Idempotency-Key"]) -> Answer:
    return ask("POST", "/api/users", body or BOB, token=token, headers={"Idempotency-Key": key})


def put(token: str, username: str = "ann", **fields: Any) -> str:
    new = {"username": username, "wait": False, **fields}
    return str(ask("POST", "/send-notification", new, token=token).json["requestId"])


def test_repeated_call_gets_the_first_answer(admin: str) -> None:
    # Given
    first = create(admin)
    assert (first.status, "Idempotency-Replayed" in first.headers) == (201, False)
    # And the user has changed since
    ask("PATCH", "/api/users/bob", {"roles": ["user"]}, token=admin)
    # When
    again = create(admin)
    # Then
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Content-Type"] == first.headers["Content-Type"]


def test_repeated_call_without_a_key_is_performed_again(admin: str) -> None:
    assert ask("POST", "/api/users", BOB, token=admin).status == 201
    assert ask("POST", "/api/users", BOB, token=admin).status == 409


@pytest.mark.parametrize("body", [{**BOB, "roles": ["user"]}, {**BOB, "username": "carl"}])
def test_a_key_with_another_body_is_refused(admin: str, body: Any) -> None:
    create(admin)
    refused = create(admin, body)
    assert (refused.status, refused.json["errors"][0]["path"]) == (422, "Idempotency-Key")


def test_key_used_for_another_path_of_its_route_is_refused(admin: str, ann: str) -> None:
    first, second = put(admin), put(admin)
    answers = [
        ask("POST", f"/api/pending-responses/{request_id}/resolve", {"action": "approve"}, token=ann, headers=KEY)
        for request_id in (first, second)
    ]
    assert [answer.status for answer in answers] == [200, 422]


def test_escaped_and_plain_path_count_as_the_same_call(admin: str) -> None:
    made = create(admin, {**BOB, "username": "bob@example.org"}, key="make")
    assert made.status == 201
    # The gateway hands over the escaped path; `scripts/serve` hands over the decoded path.
    paths = ("/api/users/bob%40example.org/keys", "/api/users/bob@example.org/keys")
    first, again = (ask("POST", path, {"name": "batch"}, token=admin, headers=KEY) for path in paths)
    # The same call, whose secret answer was not kept; another call would be refused with 422.
    assert (first.status, again.status) == (201, 409)


def test_a_key_belongs_to_its_caller_and_its_route(admin: str, ann: str) -> None:
    # Given
    other_admin = signed_in("boss", Role.ADMIN)
    assert create(admin).status == 201
    # When another caller uses the key, and another route
    by_another = create(other_admin)
    elsewhere = ask("POST", "/api/pending-responses/cleanup", token=admin, headers=KEY)
    # Then
    assert (by_another.status, elsewhere.status) == (409, 200)
    assert "Idempotency-Replayed" not in by_another.headers | elsewhere.headers


def test_of_concurrent_calls_with_one_key_one_does_the_work(admin: str, mongodb: Mongo, ann: str) -> None:
    def call() -> Answer:
        new = {"username": "ann", "wait": False}
        return ask("POST", "/send-notification", new, token=admin, headers=KEY)

    answers = [answer for answer in race([call] * 16) if isinstance(answer, Answer)]
    assert len(answers) == 16
    assert {answer.status for answer in answers} <= {202, 409}
    assert {answer.headers.get("Retry-After") for answer in answers if answer.status == 409} <= {"1"}
    assert len({answer.json["requestId"] for answer in answers if answer.status == 202}) == 1
    assert mongodb.approvals.count_documents({}) == 1


def test_call_that_ended_in_an_error_is_performed_again(admin: str) -> None:
    # Given a name that was taken
    ask("POST", "/api/users", BOB, token=admin)
    assert create(admin).status == 409
    # And is free again
    ask("DELETE", "/api/users/bob", token=admin)
    # Then
    again = create(admin)
    assert (again.status, "Idempotency-Replayed" in again.headers) == (201, False)


def test_refused_body_leaves_its_key_unused(admin: str, claims: Any) -> None:
    assert create(admin, {**BOB, "roles": ["king"]}).status == 422
    assert claims() == []
    assert create(admin).status == 201


@pytest.mark.parametrize("key", ["", "with a space", "k" * 256, "schlüssel", "tab\tbed"])
def test_malformed_key_is_refused(admin: str, key: str) -> None:
    refused = create(admin, key=key)
    assert (refused.status, refused.json["errors"][0]["path"]) == (422, "Idempotency-Key")
    assert ask("GET", "/api/users/bob", token=admin).status == 404


def test_a_key_may_have_255_characters(admin: str) -> None:
    assert create(admin, key="~" * 255).status == 201


def test_an_answer_is_kept_for_a_day_and_its_key_only_as_a_hash(admin: str, claims: Any) -> None:
    create(admin)
    (kept,) = claims()
    assert 24 * 3600 - 60 < kept["ttl"] - time() <= 24 * 3600 + 1
    assert KEY["Idempotency-Key"] not in repr(kept)
    assert BOB["password"] not in repr(kept)


# Deaths between the work and the answer.


def test_retry_returns_the_user_made_by_a_call_that_died(admin: str, users: Any, dying: Any) -> None:
    for number in range(DEATHS):
        new = {**BOB, "username": f"bob-{number}"}
        dying(lambda new=new, key=f"k{number}": create(admin, new, key=key))
        made = users.find(new["username"])
        again = create(admin, new, key=f"k{number}")
        assert (again.status, again.json["createdAt"]) == (201, made.shown().model_dump(mode="json")["createdAt"])
        assert users.find(new["username"]) == made


def test_request_made_by_a_call_that_died_is_made_once(admin: str, ann: str, mongodb: Mongo, dying: Any) -> None:
    for number in range(DEATHS):

        def call(key: str = f"k{number}") -> Answer:
            new = {"username": "ann", "wait": False}
            return ask("POST", "/send-notification", new, token=admin, headers={"Idempotency-Key": key})

        dying(call)
        (request_id,) = mongodb.approvals.distinct("_id")
        assert (call().status, call().json["requestId"]) == (202, request_id)
        assert mongodb.approvals.delete_many({}).deleted_count == 1


@pytest.mark.parametrize(("verb", "state"), [("resolve", "resolved"), ("cancel", "cancelled")])
def test_retry_returns_the_request_settled_by_a_call_that_died(
    admin: str, ann: str, dying: Any, verb: str, state: str
) -> None:
    for number in range(DEATHS // 5):
        request_id = put(admin)

        def call(key: str = f"k{number}", path: str = f"/api/pending-responses/{request_id}/{verb}") -> Answer:
            body = {"action": "approve"} if verb == "resolve" else None
            return ask("POST", path, body, token=admin, headers={"Idempotency-Key": key})

        dying(call)
        answer = call()
        assert (answer.status, answer.json["status"], answer.json["requestId"]) == (200, state, request_id)
        # For any other call the request is settled.
        assert call(f"another{number}").status == 409


def test_retry_of_a_call_that_died_settles_no_second_request(admin: str, ann: str, dying: Any) -> None:
    oldest = put(admin)
    for number in range(DEATHS // 5):
        next_one = put(admin)

        def call(key: str = f"k{number}") -> Answer:
            body = {"username": "ann", "action": "approve"}
            return ask("POST", "/api/user-action", body, token=ann, headers={"Idempotency-Key": key})

        dying(call)
        answer = call()
        assert (answer.status, answer.json["requestId"], answer.json["status"]) == (200, oldest, "resolved")
        assert ask("GET", f"/api/pending-responses/{next_one}", token=ann).json["status"] == "pending"
        oldest = next_one
    # The same holds where no other request is pending.
    dying(last := partial(call, "last"))
    assert (last().status, last().json["requestId"]) == (200, oldest)


def test_an_api_key_of_a_call_that_died_is_replaced(admin: str, dying: Any) -> None:
    create(admin)

    def call() -> Answer:
        return ask("POST", "/api/users/bob/keys", {"name": "batch"}, token=admin, headers=KEY)

    dying(call)
    again = call()
    assert again.status == 201
    listed = ask("GET", "/api/users/bob/keys", token=admin).json["items"]
    assert [key["keyId"] for key in listed] == [again.json["keyId"]]
    assert ask("GET", "/api/pending-responses", token=again.json["key"]).status == 200


# Answers that are not kept.


def test_answer_is_returned_when_its_claim_cannot_be_finished(
    admin: str, users: Any, claims: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Claims, "finish", _raising(Unavailable()))
        first = create(admin)
    assert first.status == 201
    assert [claim["state"] for claim in claims()] == ["running"]


@pytest.mark.parametrize(("path", "status"), [("/api/pending-responses/cleanup", 200), ("/api/users/bob/keys", 409)])
def test_call_taken_over_answers_unless_its_secret_is_void(
    admin: str, monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    create(admin)
    body = {"name": "batch"} if path.endswith("keys") else None
    monkeypatch.setattr(Claims, "finish", _raising(ClaimLost()))
    assert ask("POST", path, body, token=admin, headers={"Idempotency-Key": "another"}).status == status


def test_error_is_answered_when_its_claim_cannot_be_abandoned(admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ask("POST", "/api/users", BOB, token=admin)
    monkeypatch.setattr(Claims, "abandon", _raising(Unavailable()))
    assert create(admin).status == 409


def test_answer_too_large_to_keep_is_computed_again(admin: str, ann: str, claims: Any) -> None:
    # Given
    request_id = put(admin, data={"page": "é" * 120_000})
    path = f"/api/pending-responses/{request_id}/resolve"
    # When
    first, again = (ask("POST", path, {"action": "approve"}, token=ann, headers=KEY) for _ in range(2))
    # Then
    assert (again.status, again.text) == (200, first.text)
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
    assert max(len(json.dumps(claim)) for claim in claims()) < 1_000


def test_a_secret_is_answered_once_and_not_kept(admin: str, claims: Any) -> None:
    create(admin)
    first, again = (ask("POST", "/api/users/bob/keys", {"name": "batch"}, token=admin, headers=KEY) for _ in range(2))
    assert (first.status, again.status) == (201, 409)
    assert first.json["key"].rpartition(".")[2] not in repr(claims()) + again.text
    assert len(ask("GET", "/api/users/bob/keys", token=admin).json["items"]) == 1


def _raising(error: Exception) -> Callable[..., None]:
    def fail(self: Claims, claim: Claim, *_: Any) -> None:
        raise error

    return fail


def test_call_without_a_session_uses_no_key(admin: str, claims: Any) -> None:
    wrong = {"username": "nobody", "password": "wrong"}
    assert ask("POST", "/api/sessions", wrong, headers=KEY).status == 401
    assert claims() == []


def test_a_replay_costs_one_write_and_a_first_call_two(admin: str, printed: Any) -> None:
    for headers in ({}, KEY, KEY):
        ask("POST", "/api/pending-responses/cleanup", token=admin, headers=headers)
    without, first, again = (line["storeRoundTrips"] for line in printed.lines())
    assert first == without + 2
    # The session, and the claim.
    assert again == 2
    assert coordination_wiring.claims() is coordination_wiring.claims()
