"""Webhooks over HTTP, for administrators."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core.web.roles import Role
from chalicelib.webhooks import secrets, wiring
from chalicelib.webhooks.models import MOST
from tests.support.gateway import ask
from tests.support.users import signed_in
from tests.unit.webhooks.build import add_webhook, happening
from tests.unit.webhooks.test_serve import woken

PATH = "/api/webhooks"
NEW = {"url": "http://127.0.0.1:9/", "events": ["application.*"]}

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def admin(users: Any, stores: Any, options: Callable[..., None]) -> str:
    options(EGRESS_ALLOW_LOOPBACK="true")
    return signed_in("admin-1", Role.ADMIN)


def make(token: str, **more: Any) -> dict[str, Any]:
    answer = ask("POST", PATH, NEW | more, token=token)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


def test_a_new_webhook_shows_its_secret_once(admin: str) -> None:
    made = make(admin)
    assert made.pop("secret") == secrets.secret_of(made["webhookId"], 1)
    assert (made["rateLimitPerMinute"], made["maxInFlight"], made["priority"]) == (60, 5, "normal")
    assert (made["enabled"], made["paused"], made["version"]) == (True, False, 1)
    assert ask("GET", f"{PATH}/{made['webhookId']}", token=admin).json == made
    assert ask("GET", PATH, token=admin).json == {"items": [made]}


@pytest.mark.parametrize("role", [Role.USER, Role.OFFICER, Role.SERVICE])
@pytest.mark.parametrize(
    ("method", "below"),
    [
        ("POST", ""),
        ("GET", ""),
        ("GET", "/{id}"),
        ("PATCH", "/{id}"),
        ("DELETE", "/{id}"),
        ("POST", "/{id}/rotate-secret"),
        ("POST", "/{id}/pause"),
        ("POST", "/{id}/resume"),
        ("POST", "/{id}/test"),
    ],
)
def test_only_administrators_see_or_change_webhooks(admin: str, role: Role, method: str, below: str) -> None:
    path = PATH + below.format(id=make(admin)["webhookId"])
    body = {"POST": NEW if not below else None, "PATCH": {"description": "x"}}.get(method)
    assert ask(method, path, body, token=signed_in("other", role)).status == 403


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "ftp://example.org/"}, "url"),
        ({"events": []}, "events"),
        ({"events": ["application"]}, "events.0"),
        ({"events": ["*.created"]}, "events.0"),
        ({"rateLimitPerMinute": 0}, "rateLimitPerMinute"),
        ({"maxInFlight": 51}, "maxInFlight"),
        ({"priority": "low"}, "priority"),
        ({"secret": "whsec_x"}, "secret"),
    ],
)
def test_a_webhook_is_validated(admin: str, wrong: dict[str, Any], path: str) -> None:
    answer = ask("POST", PATH, NEW | wrong, token=admin)
    assert (answer.status, [each["path"] for each in answer.json["errors"]]) == (422, [path])


def test_there_are_a_hundred_webhooks_at_most(admin: str) -> None:
    for _ in range(MOST):
        add_webhook()
    answer = ask("POST", PATH, NEW, token=admin)
    assert (answer.status, answer.json["code"]) == (409, "too-many-webhooks")


def test_a_change_replaces_the_fields_that_were_sent(admin: str) -> None:
    made = make(admin, description="books")
    changed = ask("PATCH", f"{PATH}/{made['webhookId']}", {"events": ["*"]}, token=admin).json
    assert (changed["events"], changed["description"], changed["version"]) == (["*"], "books", 2)


def test_a_disabled_webhook_ends_what_waits_and_takes_no_test(admin: str, stores: Any) -> None:
    # Given
    path = f"{PATH}/{(made := make(admin))['webhookId']}"
    wiring.deliveries().record(made["webhookId"], [happening(1)])
    # When
    disabled = ask("PATCH", path, {"enabled": False}, token=admin).json
    # Then
    assert (disabled["enabled"], disabled["disabledReason"]) == (False, "by an administrator")
    assert stores.deliveries.find_one({})["reason"] == "disabled"
    answer = ask("POST", f"{path}/test", token=admin)
    assert (answer.status, answer.json["code"]) == (409, "webhook-disabled")
    # And enabled again it has no reason any more
    assert ask("PATCH", path, {"enabled": True}, token=admin).json["disabledReason"] is None


def test_a_rotation_shows_another_secret(admin: str) -> None:
    made = make(admin)
    rotated = ask("POST", f"{PATH}/{made['webhookId']}/rotate-secret", token=admin).json
    assert rotated["secret"] == secrets.secret_of(made["webhookId"], 2) != made["secret"]
    assert rotated["rotatedAt"] is not None


def test_a_resumed_webhook_is_woken(admin: str) -> None:
    path = f"{PATH}/{make(admin)['webhookId']}"
    assert ask("POST", f"{path}/pause", token=admin).json["paused"]
    assert not ask("POST", f"{path}/resume", token=admin).json["paused"]
    assert woken() == 1


def test_a_deleted_webhook_is_unknown(admin: str) -> None:
    path = f"{PATH}/{make(admin)['webhookId']}"
    assert ask("DELETE", path, token=admin).status == 204
    for method, below in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/rotate-secret")):
        answer = ask(method, path + below, {} if method == "PATCH" else None, token=admin)
        assert (answer.status, answer.json["code"]) == (404, "webhook-not-found")


def test_no_secret_lies_in_a_store(admin: str, stores: Any, dynamodb: Any) -> None:
    made = make(admin)
    items = [dynamodb.scan(TableName=name)["Items"] for name in dynamodb.list_tables()["TableNames"]]
    found = [list(stores[name].find({})) for name in stores.list_collection_names()]
    assert made["secret"] not in f"{items}{found}"
    assert made["secret"].removeprefix("whsec_") not in f"{items}{found}"
