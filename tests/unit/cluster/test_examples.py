"""The examples of the description are what the API answers: this run makes them, and compares them with the kept ones.

After a change of a shape, ``EXAMPLES=write pytest tests/unit/cluster/test_examples.py`` writes them anew.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from app import app
from chalicelib.approvals.queues import PUSH
from chalicelib.cluster import api
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.web.roles import Role
from chalicelib.core.web.routes import Endpoint
from chalicelib.users.store import UserStore
from chalicelib.webhooks import wiring as webhooks
from tests.support.gateway import Answer, ask
from tests.support.queue import dead_letter
from tests.support.users import signed_in
from tests.unit.cluster.jobs import SETTINGS, tell_jobs
from tests.unit.webhooks.build import happening

SOCKETS = "wss://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/api"
#: The kept examples: for each operation the request's body, and the body of each status.
FILE = Path(api.__file__).with_name("examples.json")
WRITE = os.environ.get("EXAMPLES") == "write"

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_DELIVERY = re.compile(r"dlv_[0-9a-f]{40}")
_LETTER = re.compile(r"\d{13}-[a-z0-9]+")
#: Values that differ from run to run, by the name of their field.
_STEADY: dict[str, Any] = {
    "instanceId": "b1f0c2d4",
    "askedBy": "b1f0c2d4",
    "resolvedThrough": "b1f0c2d4",
    "stage": "prod",
    "console": "eee88260b590",
    "uptimeSeconds": 12.5,
    "latencyMs": 1.4,
    "token": "rP3h0cJ6mB8yX1kQ5vW7tZ2nL4sD9fGaE_uRiOpHjKc",
    "ticket": "tkt_4fQ7mZ2nL9sD1kX6",
    "key": "hfk_01M80Q8J3D0000000000000001_rP3h0cJ6mB8yX1kQ5vW7tZ2nL4sD9fGa",
    "secret": "9f2b6c1d8e4a7035b1c6d2e8f4a09375",
    "hash": "3f0c" * 16,
    "previousHash": "0" * 64,
    "headHash": "3f0c" * 16,
    "digest": "3f0c" * 16,
    "waitedMs": 1840,
    "nextCursor": "ImFubiI.9mQ2vX7tZ1nL4sD8fGaE",
    "responseMs": 1840,
    "url": "https://books.example/hooks",
    "deliveryId": "dlv_4f1c0d6a2be2c7a0f6a3f0b1c2d3e4f5a6b7c8d9",
    "createdBy": "ann",
    "updatedBy": "ann",
}


class Recorder:
    """Makes calls, and keeps bodies and answers by operation."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self._ids: dict[str, str] = {}

    def call(self, token: str | None, method: str, path: str, body: Any = None, **query: str) -> Answer:
        answer = ask(method, path, body, token=token, query=query or None)
        assert answer.status < 300, f"{method} {path}: {answer.text}"
        kept = self.found.setdefault(_endpoint(method, path).handler.__name__, {"answers": {}})
        if body is not None:
            kept.setdefault("request", self.steady(body))
        if answer.text:
            kept["answers"].setdefault(str(answer.status), self.steady(answer.json))
        return answer

    def steady(self, value: Any, name: str = "") -> Any:
        """Return *value* with the same text in every run."""
        if name in _STEADY and value is not None:
            return _STEADY[name]
        if isinstance(value, dict):
            return {key: self.steady(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.steady(inner, name) for inner in value]
        if not isinstance(value, str):
            return value
        value = _LETTER.sub("1795687200000-4f2a9c0d7be81356", value)
        value = _DELIVERY.sub(_STEADY["deliveryId"], value).replace("http://127.0.0.1:9/", _STEADY["url"])
        return _ULID.sub(self._steady_id, _TIME.sub("2026-11-26T10:00:00.000Z", value))

    def _steady_id(self, found: re.Match[str]) -> str:
        return self._ids.setdefault(found[0], f"01M80Q8J3D{len(self._ids) + 1:016}")


def _endpoint(method: str, path: str) -> Endpoint:
    """Return the route of a call: of several that match, the one with the fewest parameters."""
    matching = [
        endpoint
        for endpoint in app.endpoints
        if endpoint.method == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", endpoint.path), path)
    ]
    return min(matching, key=lambda endpoint: len(endpoint.params))


@pytest.fixture(scope="module")
def kept() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(FILE.read_text())
    return found


def test_kept_examples_are_what_the_api_answers(users: UserStore, mongodb: Any, mail: Sender, options: Any) -> None:
    options(HOLDFAST_VERSION="1.0.0", EGRESS_ALLOW_LOOPBACK="true", SOCKETS_PUBLIC_URL=SOCKETS, **SETTINGS)
    recorder = Recorder()
    for tell in (
        _tell_users,
        _tell_sessions,
        _tell_approvals,
        _tell_devices,
        _tell_applications,
        _tell_webhooks,
        _tell_messages,
        tell_jobs,
        _tell_cluster,
    ):
        tell(recorder.call)
    if WRITE:
        FILE.write_text(json.dumps(recorder.found, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    assert json.loads(FILE.read_text()) == recorder.found


Call = Callable[..., Answer]


def _tell_users(call: Call) -> None:
    boss = signed_in("boss", Role.ADMIN)
    call(boss, "POST", "/api/users", {"username": "ann", "password": "correct horse battery", "roles": ["officer"]})
    call(boss, "GET", "/api/users/ann")
    call(boss, "PATCH", "/api/users/ann", {"roles": ["officer", "user"]})
    call(boss, "GET", "/api/users", limit="1")
    call(boss, "POST", "/api/users", {"username": "loans", "password": "correct horse battery", "roles": ["service"]})
    made = call(boss, "POST", "/api/users/loans/keys", {"name": "nightly batch", "expiresAt": "2099-01-31T12:00:00Z"})
    call(boss, "GET", "/api/users/loans/keys")
    call(boss, "DELETE", f"/api/users/loans/keys/{made.json['keyId']}")
    call(boss, "DELETE", "/api/users/loans")


def _tell_webhooks(call: Call) -> None:
    boss = signed_in("boss-9", Role.ADMIN)
    new = {"url": "http://127.0.0.1:9/", "events": ["application.*", "approval.resolved"], "description": "the books"}
    webhook_id = call(boss, "POST", "/api/webhooks", new).json["webhookId"]
    path = f"/api/webhooks/{webhook_id}"
    call(boss, "GET", "/api/webhooks")
    call(boss, "GET", path)
    call(boss, "PATCH", path, {"rateLimitPerMinute": 120})
    for verb in ("pause", "resume", "rotate-secret"):
        call(boss, "POST", f"{path}/{verb}")
    delivery_id = call(boss, "POST", f"{path}/test").json["deliveryId"]
    call(boss, "GET", "/api/deliveries", limit="1")
    call(boss, "GET", "/api/cluster/webhooks/queue")
    call(boss, "GET", f"{path}/deliveries", status="due")
    call(boss, "POST", f"{path}/deliveries/{delivery_id}/retry-now")
    call(boss, "POST", f"{path}/deliveries/{delivery_id}/replay")
    call(boss, "GET", f"/api/deliveries/{delivery_id}")
    webhooks.deliveries().record(webhook_id, [happening(1)])
    call(boss, "GET", f"{path}/statement")
    call(boss, "GET", f"{path}/statistics")
    call(boss, "POST", "/api/deliveries/replay", {"filter": {"status": "dead"}, "expectedCount": 0})
    call(boss, "POST", f"{path}/recover", {"since": "2026-11-01T00:00:00Z", "dryRun": True})
    call(boss, "DELETE", path)


def _tell_sessions(call: Call) -> None:
    boss = signed_in("boss-2", Role.ADMIN)
    login = {"username": "ann", "password": "correct horse battery"}
    token = call(None, "POST", "/api/sessions", login).json["token"]
    call(token, "GET", "/api/sessions/current")
    call(token, "POST", "/api/sessions/current/ticket", {"path": "/api/progress/events"})
    listed = call(boss, "GET", "/api/sessions", username="ann").json["items"]
    call(token, "DELETE", "/api/sessions/current")
    call(None, "POST", "/api/sessions", login)
    second = call(boss, "GET", "/api/sessions", username="ann").json["items"]
    call(boss, "DELETE", f"/api/sessions/{second[0]['sessionId']}")
    call(boss, "DELETE", "/api/users/ann/sessions")
    assert listed


def _tell_approvals(call: Call) -> None:
    boss, service, bob = (
        signed_in("boss-3", Role.ADMIN),
        signed_in("svc", Role.SERVICE),
        signed_in("bob", Role.USER),
    )
    question = {
        "username": "bob",
        "title": "Pay 10,000.00 EUR to Ada Lovelace?",
        "body": "Application A-1001, approved by ann.",
        "data": {"applicationId": "A-1001"},
        "wait": False,
        "timeoutMs": 60_000,
    }
    first, second, third = (call(service, "POST", "/send-notification", question).json["requestId"] for _ in range(3))
    call(bob, "GET", "/api/pending-responses", status="pending", limit="1")
    call(bob, "POST", f"/api/pending-responses/{first}/seen", {"deviceId": "phone", "what": "opened"})
    call(service, "GET", f"/api/pending-responses/{first}")
    call(bob, "POST", f"/api/pending-responses/{first}/resolve", {"action": "approve"})
    call(bob, "POST", "/api/user-action", {"username": "bob", "action": "approve"})
    call(service, "POST", f"/api/pending-responses/{third}/cancel")
    call(boss, "POST", "/api/pending-responses/cleanup")
    call(bob, "GET", "/api/pending-responses/counts")
    call(service, "GET", "/api/callback-secret")
    assert second


def _tell_devices(call: Call) -> None:
    bob = signed_in("bob-2", Role.USER)
    call(bob, "PUT", "/api/devices/phone", {"platform": "android", "fcmToken": "fcm-registration-token"})
    call(bob, "GET", "/api/devices")
    call(bob, "DELETE", "/api/devices/phone")


def _tell_messages(call: Call) -> None:
    boss, ann, bob = signed_in("boss-10", Role.ADMIN), signed_in("ann-10", Role.USER), signed_in("bob-10", Role.USER)
    new = {"to": "bob-10", "chatId": "A-1001", "message": "The documents are complete.", "clientMessageId": "m-1"}
    call(ann, "POST", "/api/messages", new)
    batch = [{**new, "clientMessageId": "m-2", "priority": "high"}, {**new, "to": "nobody", "clientMessageId": "m-3"}]
    call(ann, "POST", "/api/messages/batch", {"messages": batch})
    call(bob, "GET", "/api/messages/buffered/bob-10", limit="1")
    call(boss, "GET", "/api/messages/buffer-stats")
    call(boss, "DELETE", "/api/messages/buffered/bob-10")


def _tell_applications(call: Call) -> None:
    boss, officer = signed_in("boss-4", Role.ADMIN), signed_in("ann-2", Role.OFFICER)
    new = {
        "applicationId": "A-1001",
        "applicantName": "Ada Lovelace",
        "email": "ada@example.org",
        "amountMinor": 1_000_000,
        "currency": "EUR",
        "termMonths": 24,
        "status": "submitted",
    }
    call(officer, "POST", "/api/applications", new)
    call(officer, "GET", "/api/applications", status="submitted")
    call(officer, "GET", "/api/applications/A-1001")
    call(officer, "PUT", "/api/applications/A-1001", {"termMonths": 36, "version": 1})
    batch = {"items": [{"id": "A-1001", "version": 2}], "status": "approved"}
    call(officer, "POST", "/api/applications/batch-update", batch)
    call(officer, "GET", "/api/applications/A-1001/history")
    call(boss, "POST", "/api/applications/A-1001/disburse")
    call(boss, "GET", "/api/ledger")
    call(boss, "GET", "/api/ledger/verify")
    call(officer, "POST", "/api/applications", {**new, "applicationId": "A-1002"})
    call(boss, "DELETE", "/api/applications/A-1002", version="1")


def _tell_cluster(call: Call) -> None:
    boss = signed_in("boss-5", Role.ADMIN)
    call(None, "GET", "/health")
    call(None, "GET", "/ready")
    call(None, "GET", "/console/config.json")
    call(boss, "GET", "/api/admin/queue-stats")
    letter = dead_letter("4f2a9c0d7be81356", "Firebase refused the token", queue=PUSH.name, body='{"schema":1}')
    queueing.dead_letters().store(letter)
    call(boss, "GET", "/api/admin/queues/push/dead")
    call(boss, "POST", "/api/admin/queues/push/dead/redrive", {"ids": [letter.id]})
    call(boss, "DELETE", "/api/admin/queues/push/dead", confirm="push")


def _bodies() -> Iterator[Any]:
    """Yield each example with the model that must take it."""
    for operation, found in json.loads(FILE.read_text()).items():
        (endpoint,) = (each for each in app.endpoints if each.handler.__name__ == operation)
        if endpoint.body and "request" in found:
            yield pytest.param(endpoint.body, found["request"], id=f"{operation} request")
        for status, body in found["answers"].items():
            yield pytest.param(endpoint.answers[int(status)], body, id=f"{operation} {status}")


@pytest.mark.parametrize(("model", "body"), list(_bodies()))
def test_example_is_taken_by_its_model(model: type[BaseModel], body: Any) -> None:
    assert model.model_validate_json(json.dumps(body))


def test_every_body_has_an_example(kept: dict[str, dict[str, Any]]) -> None:
    for endpoint in app.endpoints:
        found = kept.get(endpoint.handler.__name__, {"answers": {}})
        if endpoint.path != "/openapi.json":
            assert bool(endpoint.body) == ("request" in found), endpoint.path
            assert any(endpoint.answers.values()) == bool(found["answers"]), endpoint.path
