"""Where a question has arrived: pushes and reports, by device; and how a question leaves the devices that show it."""

from typing import Any

import pytest

from chalicelib.approvals import wiring
from chalicelib.approvals.models import SideEffect
from chalicelib.approvals.queues import PUSH, Task
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.stores import clients
from chalicelib.core.web.roles import Role
from tests.support.fcm_server import FcmServer
from tests.support.gateway import ask
from tests.support.management import Management
from tests.support.users import signed_in
from tests.unit.approvals.test_events import do, question
from tests.unit.devices.conftest import google, key, unconfigured
from tests.unit.sockets.conftest import connect, connections, management, say

__all__ = ["connections", "google", "key", "management", "unconfigured"]

STEPS = ("pushed", "received", "opened")


@pytest.fixture
def tokens(connections: Any, management: Management, mail: Sender, google: FcmServer) -> dict[str, str]:
    """The tokens of a service and of Ann, who has a phone."""
    tokens = {"bot": signed_in("bot", Role.SERVICE), "ann": signed_in("ann"), "bob": signed_in("bob")}
    phone = {"platform": "android", "fcmToken": "token-of-phone"}
    assert ask("PUT", "/api/devices/phone", phone, token=tokens["ann"]).status == 200
    return tokens


def deliveries(request_id: str, token: str) -> dict[str | None, list[str]]:
    """Return the steps that are done by device."""
    found = ask("GET", f"/api/pending-responses/{request_id}", token=token).json["deliveries"]
    (listed,) = ask("GET", "/api/pending-responses", token=token).json["items"] or [{"deliveries": found}]
    assert listed["deliveries"] == found
    return {each["deviceId"]: [step for step in STEPS if each[step]] for each in found}


def report(request_id: str, what: str, token: str, device_id: str = "phone") -> int:
    return ask(
        "POST", f"/api/pending-responses/{request_id}/seen", {"deviceId": device_id, "what": what}, token=token
    ).status


def test_pushes_are_noted_by_device_and_connection(tokens: dict[str, str]) -> None:
    request_id = question(tokens["bot"])
    assert deliveries(request_id, tokens["ann"]) == {}
    connect("c1", tokens["ann"])
    say("c1", {"action": "subscribe", "topics": ["inbox"]})
    do(request_id, SideEffect.NOTIFY)
    assert deliveries(request_id, tokens["ann"]) == {None: ["pushed"], "phone": ["pushed"]}


def test_question_without_connection_and_device_has_no_delivery(tokens: dict[str, str]) -> None:
    request_id = question(tokens["bot"], username="bob")
    do(request_id, SideEffect.NOTIFY)
    assert deliveries(request_id, tokens["bob"]) == {}


def test_reports_of_the_app_are_noted_and_the_first_time_stays(tokens: dict[str, str]) -> None:
    request_id = question(tokens["bot"])
    do(request_id, SideEffect.NOTIFY)
    assert report(request_id, "received", tokens["ann"]) == 204
    first = wiring.store().get(request_id).approval.deliveries
    assert report(request_id, "received", tokens["ann"]) == 204
    assert wiring.store().get(request_id).approval.deliveries == first
    assert report(request_id, "opened", tokens["ann"]) == 204
    assert deliveries(request_id, tokens["ann"]) == {"phone": ["pushed", "received", "opened"]}


def test_person_who_was_not_asked_cannot_report(tokens: dict[str, str]) -> None:
    request_id = question(tokens["bot"])
    assert report(request_id, "opened", tokens["bob"]) == 403
    assert report("01JD0000000000000000000000", "opened", tokens["bob"]) == 404
    assert report(request_id, "pushed", tokens["ann"]) == 422
    assert deliveries(request_id, tokens["ann"]) == {}


def test_settled_question_is_withdrawn_once_from_the_devices_that_show_it(
    tokens: dict[str, str], google: FcmServer
) -> None:
    request_id = question(tokens["bot"])
    do(request_id, SideEffect.NOTIFY)
    answer = {"action": "approve"}
    assert ask("POST", f"/api/pending-responses/{request_id}/resolve", answer, token=tokens["ann"]).status == 200
    do(request_id, SideEffect.TELL)
    assert SideEffect.WITHDRAW in queued()
    for _ in range(2):
        do(request_id, SideEffect.WITHDRAW)
    shown, void = google.messages
    assert "notification" in shown
    assert "notification" not in void
    assert void["data"] == {
        "event": "approval.answered-elsewhere",
        "requestId": request_id,
        "status": "resolved",
        "action": "approve",
    }


def test_question_that_no_device_shows_is_not_withdrawn(tokens: dict[str, str]) -> None:
    request_id = question(tokens["bot"], username="bob")
    assert ask("POST", f"/api/pending-responses/{request_id}/cancel", token=tokens["bot"]).status == 200
    do(request_id, SideEffect.TELL)
    assert SideEffect.WITHDRAW not in queued()


def queued() -> list[str]:
    """Return the effects of the messages in the queue of pushes."""
    url = clients.aws("sqs").get_queue_url(QueueName=f"holdfast-unit-{PUSH.name}")["QueueUrl"]
    found = clients.aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [Task.model_validate_json(message["Body"]).effect for message in found]
