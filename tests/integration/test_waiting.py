"""A caller waits in a process while the answer arrives in another process."""

from functools import partial
from time import monotonic

import pytest

from tests.support.approvals import create_request, pending, read_request, request_path, waiting
from tests.support.client import Client, json_of
from tests.support.stack import NewPerson

pytestmark = pytest.mark.stack


def test_an_answer_given_to_another_instance_reaches_the_caller(admin: Client, person: NewPerson) -> None:
    # Given a waiting caller
    caller, asked_one = person("service"), person()
    question = {"username": asked_one.username, "title": "Transfer", "actions": ["yes", "no"]}
    with waiting(lambda: caller.client.post("/send-notification", question)) as call:
        (request_id,) = pending(asked_one.client, asked_one.username)
        # When the person answers
        resolved = asked_one.client.post(request_path(request_id, "resolve"), {"action": "yes"})
    # Then the caller gets the answer, from another process
    document, outcome = json_of(resolved), json_of(call.result())
    assert outcome == {
        "requestId": request_id,
        "username": asked_one.username,
        "status": "resolved",
        "action": "yes",
    }
    assert call.result().headers["X-Instance-Id"] != resolved.headers["X-Instance-Id"]
    assert document == read_request(caller.client, request_id)
    assert document["createdBy"] == caller.username
    assert document["responseMs"] > 0


def test_a_waiting_caller_gets_the_answer_within_two_seconds(admin: Client, person: NewPerson) -> None:
    asked_one = person()
    with waiting(lambda: admin.post("/send-notification", {"username": asked_one.username})) as call:
        (request_id,) = pending(admin, asked_one.username)
        json_of(admin.post(request_path(request_id, "resolve"), {"action": "approve"}))
        answered = monotonic()
        call.result()
    # Twice the longest pause would be 0.4 s; the rest is for a busy machine.
    assert monotonic() - answered < 2


def test_a_long_poll_answers_once_the_request_is_settled(admin: Client, person: NewPerson) -> None:
    asked_one = person()
    request_id = create_request(admin, asked_one.username, timeoutMs=60_000)
    with waiting(lambda: admin.get(request_path(request_id) + "?waitMs=20000")) as call:
        with pytest.raises(TimeoutError):
            call.result(timeout=0.5)
        json_of(asked_one.client.post(request_path(request_id, "resolve"), {"action": "reject"}))
        assert json_of(call.result(timeout=5))["action"] == "reject"


def test_a_long_poll_of_a_settled_request_returns_at_once(admin: Client, person: NewPerson) -> None:
    asked_one = person()
    request_id = create_request(admin, asked_one.username)
    json_of(asked_one.client.post(request_path(request_id, "resolve"), {"action": "approve"}))
    began = monotonic()
    assert json_of(admin.get(request_path(request_id) + "?waitMs=25000"))["status"] == "resolved"
    assert monotonic() - began < 5


def test_a_long_poll_that_ends_early_returns_pending(admin: Client, person: NewPerson) -> None:
    request_id = create_request(admin, person().username, timeoutMs=60_000)
    began = monotonic()
    assert json_of(admin.get(request_path(request_id) + "?waitMs=300"))["status"] == "pending"
    assert 0.3 <= monotonic() - began < 5


def test_a_question_without_an_answer_times_out(admin: Client, person: NewPerson) -> None:
    username = person().username
    outcome = json_of(admin.post("/send-notification", {"username": username, "timeoutMs": 1000}))
    assert (outcome["status"], outcome["action"]) == ("timeout", "timeout")
    document = read_request(admin, outcome["requestId"])
    assert (document["status"], document["action"]) == ("timeout", "timeout")
    assert document["resolvedAt"] == document["expiresAt"]
    assert document["responseMs"] is None


def test_a_cancellation_ends_the_wait(admin: Client, person: NewPerson) -> None:
    username = person().username
    with waiting(lambda: admin.post("/send-notification", {"username": username})) as call:
        (request_id,) = pending(admin, username)
        json_of(admin.post(request_path(request_id, "cancel")))
        outcome = json_of(call.result(timeout=5))
    assert (outcome["status"], outcome["action"]) == ("cancelled", None)


def test_several_long_polls_of_a_request_get_the_answer(admin: Client, person: NewPerson) -> None:
    request_id = create_request(admin, person().username, timeoutMs=60_000)
    long_poll = partial(admin.get, request_path(request_id) + "?waitMs=20000")
    with waiting(long_poll) as first, waiting(long_poll) as second:
        json_of(admin.post(request_path(request_id, "resolve"), {"action": "approve"}))
        answers = [json_of(call.result()) for call in (first, second)]
    assert [answer["action"] for answer in answers] == ["approve", "approve"]
