"""Webhooks on the deployed stack: from a committed change to a signed call."""

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core.egress import signatures
from tests.support.approvals import request_path
from tests.support.client import Client, json_of, problem_of
from tests.support.receiver import Receiver, receiving
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

APPLICATION = {
    "applicantName": "Ann Lee",
    "email": "ann@example.org",
    "amountMinor": 1_000_00,
    "currency": "EUR",
    "termMonths": 12,
}
NewWebhook = Callable[..., dict[str, Any]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def webhook(admin: Client, receiver: Receiver) -> Iterator[NewWebhook]:
    """Make webhooks that call the receiver, and delete them after."""
    made: list[str] = []

    def make(**fields: Any) -> dict[str, Any]:
        new = {"url": receiver.url, "events": ["*"], "rateLimitPerMinute": 600} | fields
        found: dict[str, Any] = json_of(admin.post("/api/webhooks", new), 201)
        made.append(found["webhookId"])
        return found

    yield make
    for webhook_id in made:
        admin.delete(f"/api/webhooks/{webhook_id}")


def of(receiver: Receiver, application_id: str) -> list[Any]:
    """Return the events of one application in their order."""
    events = [call.event for call in receiver.received]
    return [event for event in events if event["data"].get("applicationId") == application_id]


def test_every_change_of_an_application_reaches_the_webhook(
    admin: Client, receiver: Receiver, webhook: NewWebhook
) -> None:
    # Given
    made = webhook(events=["application.*"])
    # When
    new = json_of(admin.post("/api/applications", APPLICATION), 201)
    path = f"/api/applications/{new['applicationId']}"
    json_of(admin.call("PUT", path, {"status": "submitted", "version": 1}))
    json_of(admin.call("PUT", path, {"status": "approved", "version": 2}))
    assert admin.delete(f"{path}?version=3").status_code == 204
    # Then
    eventually(lambda: len(of(receiver, new["applicationId"])) == 6)
    told = sorted(
        (event["data"]["version"], event["type"], event["data"].get("previous"))
        for event in of(receiver, new["applicationId"])
    )
    assert told == [
        (1, "application.created", None),
        (2, "application.submitted", {"status": "draft"}),
        (2, "application.updated", {"status": "draft"}),
        (3, "application.approved", {"status": "submitted"}),
        (3, "application.updated", {"status": "submitted"}),
        (4, "application.deleted", None),
    ]
    # And each is signed, and numbered without a gap
    for call in receiver.received:
        signatures.verify([made["secret"]], call.body, call.headers, datetime.now(UTC))
    assert sorted(call.event["sequence"] for call in receiver.received) == list(range(1, len(receiver.received) + 1))


def test_the_record_behind_an_event_is_never_older(admin: Client, receiver: Receiver, webhook: NewWebhook) -> None:
    """A receiver that reads the record right after the event finds the event's version, or a later one."""
    read: list[tuple[int, int]] = []

    def answer(call: Any) -> tuple[int, dict[str, str]]:
        data = call.event["data"]
        read.append((data["version"], json_of(admin.get(f"/api/applications/{data['applicationId']}"))["version"]))
        return 204, {}

    receiver.answer = answer
    webhook(events=["application.updated"])
    new = json_of(admin.post("/api/applications", APPLICATION), 201)
    for version in range(1, 6):
        fields = {"termMonths": 12 + version, "version": version}
        json_of(admin.call("PUT", f"/api/applications/{new['applicationId']}", fields))
    eventually(lambda: len(of(receiver, new["applicationId"])) == 5)
    assert all(found >= told for told, found in read)


def test_an_answered_question_reaches_the_webhook(
    admin: Client, person: NewPerson, receiver: Receiver, webhook: NewWebhook
) -> None:
    webhook(events=["approval.resolved"], priority="high")
    caller, asked = person("service"), person()
    question = {"username": asked.username, "wait": False}
    request_id = json_of(caller.client.post("/send-notification", question), 202)["requestId"]
    document = json_of(asked.client.post(request_path(request_id, "resolve"), {"action": "approve"}))

    def told() -> Any:
        return next((call for call in receiver.received if call.event["data"]["requestId"] == request_id), None)

    call = eventually(told)
    assert (call.event["type"], call.event["data"]) == ("approval.resolved", document)


def test_a_call_because_of_a_delivery_carries_its_hops(admin: Client, receiver: Receiver, webhook: NewWebhook) -> None:
    """A receiver that changes an application for each event of it would go on for ever; the sixth hop ends it."""

    def answer(call: Any) -> tuple[int, dict[str, str]]:
        data = call.event["data"]
        headers = {"Holdfast-Hops": call.headers["holdfast-hops"]}
        fields = {"termMonths": data["termMonths"] + 1, "version": data["version"]}
        admin.call("PUT", f"/api/applications/{data['applicationId']}", fields, headers=headers)
        return 204, {}

    receiver.answer = answer
    webhook(events=["application.created", "application.updated"])
    new = json_of(admin.post("/api/applications", APPLICATION), 201)
    path = f"/api/applications/{new['applicationId']}"
    eventually(lambda: json_of(admin.get(path))["version"] == 6)
    hops = [call.headers["holdfast-hops"] for call in receiver.received]
    assert hops == ["1", "2", "3", "4", "5"]


def test_a_deployed_webhook_is_managed_by_administrators_alone(
    admin: Client, person: NewPerson, receiver: Receiver, webhook: NewWebhook
) -> None:
    made = webhook()
    path = f"/api/webhooks/{made['webhookId']}"
    assert "secret" not in json_of(admin.get(path))
    rotated = json_of(admin.post(f"{path}/rotate-secret"))
    assert rotated["secret"] != made["secret"]
    officer = person("officer").client
    for method, where in (("GET", "/api/webhooks"), ("POST", f"{path}/test"), ("DELETE", path)):
        problem_of(officer.call(method, where), 403)
    problem_of(admin.post("/api/webhooks", {"url": "http://10.0.0.1/", "events": ["*"]}), 422)
    json_of(admin.post(f"{path}/test"), 202)
    call = eventually(lambda: next(iter(receiver.received), None))
    assert (call.event["type"], call.event["sequence"]) == ("webhook.test", None)
    signatures.verify([rotated["secret"]], call.body, call.headers, datetime.now(UTC))


def test_a_delivery_is_sent_again_under_the_same_id(admin: Client, receiver: Receiver, webhook: NewWebhook) -> None:
    answers = iter([(500, {}), (429, {"Retry-After": "1"})])
    receiver.answer = lambda _: next(answers, (204, {}))
    name = f"trace-{secrets.token_hex(4)}"
    webhook(events=["application.created"])
    json_of(admin.call("POST", "/api/applications", APPLICATION, headers={"X-Request-Id": name}), 201)
    # The schedule's first pause is 5 s; the second one is 5 min.
    eventually(lambda: len(receiver.received) == 2)
    assert len({call.headers["webhook-id"] for call in receiver.received}) == 1
    assert len({call.body for call in receiver.received}) == 1
