"""Receivers in Node verify the callbacks of the deployed stack, and refuse a message with a changed byte."""

from functools import partial

import pytest

from tests.support.approvals import request_path
from tests.support.client import Client, Person, json_of
from tests.support.node import EVERY_PACKAGE, NodeReceiver, Verdict, node_packages, node_receiver
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

__all__ = ["node_packages", "node_receiver"]

pytestmark = pytest.mark.stack

APPLICATION = {
    "applicantName": "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS} Lee",
    "email": "zoe@example.org",
    "amountMinor": 1_000_00,
    "currency": "EUR",
    "termMonths": 12,
}


@pytest.fixture
def service(person: NewPerson, node_receiver: NodeReceiver) -> Person:
    """A caller whose callbacks the receiver verifies."""
    caller = person("service")
    node_receiver.use(_secret(caller.client))
    return caller


@pytest.fixture
def callback(service: Person, person: NewPerson, node_receiver: NodeReceiver) -> Verdict:
    """A callback of the deployed stack, and the receiver's verdict."""
    asked = person()
    question = {
        "username": asked.username,
        "title": "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS} asks \N{ROCKET}",
        "wait": False,
        "callbackUrl": f"{node_receiver.url}/hook?a=1",
    }
    request_id = json_of(service.client.post("/send-notification", question), 202)["requestId"]
    json_of(asked.client.post(request_path(request_id, "resolve"), {"action": "approve"}))
    return eventually(lambda: node_receiver.verdicts[:])[0]


def test_packages_of_node_accept_a_callback(callback: Verdict, node_receiver: NodeReceiver, service: Person) -> None:
    assert (callback.accepted_by, callback.status) == (EVERY_PACKAGE, 204)
    assert callback.path == "/hook?a=1"
    assert callback.event["id"] == callback.headers["webhook-id"]
    request_id = callback.event["data"]["requestId"]
    assert callback.event["data"] == json_of(service.client.get(request_path(request_id)))


def test_packages_of_node_refuse_a_callback_with_a_changed_byte(callback: Verdict, node_receiver: NodeReceiver) -> None:
    signed = {name: value for name, value in callback.headers.items() if name.startswith("webhook-")}
    assert node_receiver.send(callback.body, signed).accepted_by == EVERY_PACKAGE
    for place in (0, len(callback.body) // 2, len(callback.body) - 1):
        changed = bytearray(callback.body)
        changed[place] ^= 1
        verdict = node_receiver.send(bytes(changed), signed)
        assert (verdict.accepted_by, verdict.status) == (set(), 400)
    for name, value in signed.items():
        verdict = node_receiver.send(callback.body, signed | {name: value[:-2] + _other(value[-2]) + value[-1]})
        assert (verdict.accepted_by, verdict.status) == (set(), 400), name


def test_packages_of_node_refuse_a_callback_of_another_account(
    callback: Verdict, node_receiver: NodeReceiver, person: NewPerson
) -> None:
    node_receiver.use(_secret(person("service").client))
    assert node_receiver.send(callback.body, callback.headers).accepted_by == set()


def test_packages_of_node_accept_every_delivery_of_a_webhook(admin: Client, node_receiver: NodeReceiver) -> None:
    # Given a webhook whose secret was rotated a moment ago
    made = json_of(admin.post("/api/webhooks", {"url": f"{node_receiver.url}/hook", "events": ["application.*"]}), 201)
    path = f"/api/webhooks/{made['webhookId']}"
    rotated = json_of(admin.post(f"{path}/rotate-secret"))
    # When, with the secret of before and with the new one
    for secret in (made["secret"], rotated["secret"]):
        node_receiver.use(secret)
        seen = len(node_receiver.verdicts)
        json_of(admin.post("/api/applications", APPLICATION), 201)
        told = eventually(partial(_since, node_receiver, seen))
        # Then
        found = [(verdict.accepted_by, verdict.event["type"]) for verdict in told]
        assert found == [(EVERY_PACKAGE, "application.created")]
    admin.delete(path)


def test_packages_of_node_refuse_a_delivery_with_a_changed_byte(admin: Client, node_receiver: NodeReceiver) -> None:
    made = json_of(admin.post("/api/webhooks", {"url": f"{node_receiver.url}/hook", "events": ["*"]}), 201)
    node_receiver.use(made["secret"])
    json_of(admin.post(f"/api/webhooks/{made['webhookId']}/test"), 202)
    (verdict, *_) = eventually(lambda: [one for one in node_receiver.verdicts if one.event["type"] == "webhook.test"])
    signed = {name: value for name, value in verdict.headers.items() if name.startswith("webhook-")}
    assert node_receiver.send(verdict.body, signed).accepted_by == EVERY_PACKAGE
    changed = bytearray(verdict.body)
    changed[-2] ^= 1
    assert node_receiver.send(bytes(changed), signed).accepted_by == set()
    admin.delete(f"/api/webhooks/{made['webhookId']}")


def _since(receiver: NodeReceiver, seen: int) -> list[Verdict]:
    return receiver.verdicts[seen:]


def _secret(client: Client) -> str:
    return str(json_of(client.get("/api/callback-secret"))["secret"])


def _other(character: str) -> str:
    return "1" if character != "1" else "2"
