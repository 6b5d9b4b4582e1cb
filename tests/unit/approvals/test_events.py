"""Events of requests on WebSocket connections, and the snapshots of the topics."""

import json
from typing import Any

import pytest

from chalicelib.approvals import events, wiring, worker
from chalicelib.approvals.models import SideEffect
from chalicelib.approvals.queues import Task
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.web.roles import Role
from tests.support.gateway import ask
from tests.support.management import Management
from tests.support.users import signed_in
from tests.unit.sockets.conftest import connect, connections, management, say

__all__ = ["connections", "management"]


@pytest.fixture
def people(connections: Any, management: Management, mail: Sender) -> dict[str, str]:
    """The tokens of a service and of Ann and Bob, each with a connection that follows the inbox."""
    tokens = {"bot": signed_in("bot", Role.SERVICE), "ann": signed_in("ann"), "bob": signed_in("bob")}
    for name, token in tokens.items():
        connect(name, token)
        say(name, {"action": "subscribe", "topics": ["inbox"]})
    management.sent.clear()
    return tokens


def question(token: str, **fields: Any) -> str:
    new = {"username": "ann", "title": "Pay?", "wait": False, **fields}
    answer = ask("POST", "/send-notification", new, token=token)
    assert answer.status == 202, answer.text
    return str(answer.json["requestId"])


def do(request_id: str, effect: str) -> None:
    """Do one effect, as the worker of its message does."""
    worker._handle(Task(request_id=request_id, effect=effect), None)  # type: ignore[arg-type]


def test_question_reaches_the_connections_of_the_person(people: dict[str, str], management: Management) -> None:
    request_id = question(people["bot"], data={"amount": 5})
    do(request_id, SideEffect.NOTIFY)
    (event,) = management.sent_to("ann")
    assert (event["event"], event["requestId"], event["data"]) == ("approval.requested", request_id, {"amount": 5})
    assert event["actions"] == ["approve", "reject"]
    assert not management.sent_to("bob")


def test_question_with_large_data_arrives_without_the_data(people: dict[str, str], management: Management) -> None:
    do(question(people["bot"], data={"text": "x" * 100_000}), SideEffect.NOTIFY)
    (event,) = management.sent_to("ann")
    assert event["data"] is None


@pytest.mark.parametrize(("call", "status"), [("resolve", "resolved"), ("cancel", "cancelled")])
def test_outcome_reaches_the_caller_and_everyone_who_could_answer(
    people: dict[str, str], management: Management, call: str, status: str
) -> None:
    request_id = question(people["bot"], approvers=["bob"])
    who, body = ("ann", {"action": "approve"}) if call == "resolve" else ("bot", None)
    assert ask("POST", f"/api/pending-responses/{request_id}/{call}", body, token=people[who]).status == 200
    do(request_id, SideEffect.TELL)
    (told,) = management.sent_to("bot")
    assert (told["event"], told["requestId"], told["status"]) == ("approval.resolved", request_id, status)
    for name in ("ann", "bob"):
        (event,) = management.sent_to(name)
        action = "approve" if call == "resolve" else None
        assert event == {
            "event": "approval.answered-elsewhere",
            "requestId": request_id,
            "status": status,
            "action": action,
            "resolvedBy": who,
        }


def test_snapshot_of_the_inbox_has_the_pending_questions(people: dict[str, str], management: Management) -> None:
    request_id = question(people["bot"])
    say("ann", {"action": "subscribe", "topics": ["inbox", "approvals"], "id": "s"})
    (event,) = management.sent_to("ann")
    inbox, approvals = event["snapshots"]
    shown = ask("GET", f"/api/pending-responses/{request_id}", token=people["ann"]).json
    assert inbox == {"topic": "inbox", "items": [shown], "more": False}
    assert approvals["counts"] == {"pending": 1, "resolved": 0, "timeout": 0, "cancelled": 0}
    assert event["id"] == "s"


def test_snapshot_of_a_full_inbox_is_bounded(people: dict[str, str], management: Management) -> None:
    for number in range(4):
        question(people["bot"], data={"text": "x" * 20_000, "number": number})
    say("ann", {"action": "subscribe", "topics": ["inbox"]})
    (event,) = management.sent_to("ann")
    (inbox,) = event["snapshots"]
    assert [item["data"]["number"] for item in inbox["items"]] == [3, 2]
    assert inbox["more"]
    assert len(json.dumps(event)) < 120_000


def test_connection_that_is_down_does_not_fail_the_outcome(people: dict[str, str], management: Management) -> None:
    request_id = question(people["bot"])
    management.answers.update(dict.fromkeys(people, 429))
    assert ask("POST", f"/api/pending-responses/{request_id}/cancel", token=people["bot"]).status == 200
    do(request_id, SideEffect.TELL)
    assert events.ask(wiring.store().get(request_id).approval, wiring.store().get(request_id).asked[0]) == 0
