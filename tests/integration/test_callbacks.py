"""Callbacks: signed, retried until accepted, and delivered once."""

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest
import requests

from chalicelib.core.egress import signatures
from infra.host import ports
from infra.local.stack import Stack
from tests.support.approvals import request_path
from tests.support.client import Client, json_of, problem_of
from tests.support.extra_worker import dead_letters
from tests.support.receiver import Received, Receiver, receiving
from tests.support.stack import STAGE, NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

ROUTE = "/api/pending-responses/{request_id}/resolve"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_a_callback_is_signed_with_its_callers_secret(receiver: Receiver, person: NewPerson) -> None:
    # Given
    caller, asked = person("service"), person()
    request_id = _ask(caller.client, asked.username, f"{receiver.url}/hook")
    # When
    document = json_of(asked.client.post(request_path(request_id, "resolve"), {"action": "approve"}))
    # Then
    call = eventually(lambda: next(iter(receiver.received), None))
    secret = json_of(caller.client.get("/api/callback-secret"))["secret"]
    signatures.verify([secret], call.body, call.headers, datetime.now(UTC))
    other = json_of(person("service").client.get("/api/callback-secret"))["secret"]
    with pytest.raises(signatures.InvalidSignature):
        signatures.verify([other], call.body, call.headers, datetime.now(UTC))
    assert call.path == "/hook"
    assert call.event["type"] == "approval.resolved"
    assert call.event["id"] == call.headers["webhook-id"]
    assert call.event["data"] == document


def test_a_request_id_is_logged_from_call_to_callback(stack: Stack, receiver: Receiver, person: NewPerson) -> None:
    # Given
    asked, trace = person(), f"trace-{secrets.token_hex(4)}"
    request_id = _ask(person("service").client, asked.username, receiver.url)
    # When
    headers = {"X-Request-Id": trace}
    json_of(asked.client.call("POST", request_path(request_id, "resolve"), {"action": "approve"}, headers=headers))
    # Then
    call = eventually(lambda: next(iter(receiver.received), None))
    assert call.headers["x-request-id"] == trace

    def lines(function: str) -> list[Any]:
        group = f"/aws/lambda/holdfast-{STAGE}-{function}"
        events = stack.client("logs").filter_log_events(logGroupName=group, filterPattern=f'"{trace}"')["events"]
        return [json.loads(event["message"]) for event in events if event["message"].startswith("{")]

    (served,) = eventually(lambda: lines("api"))
    (worked,) = eventually(lambda: [line for line in lines("callback") if line["kind"] == "item"])
    assert (served["kind"], served["route"], served["status"]) == ("request", ROUTE, 200)
    assert (worked["kind"], worked["workId"], worked["outcome"]) == ("item", f"{request_id}.callback", "done")
    assert worked["callbackStatus"] == 204


def test_a_failed_callback_is_retried_under_the_same_id(receiver: Receiver, person: NewPerson) -> None:
    # Given
    statuses = iter([503, 429, 500])
    receiver.answer = lambda _: (next(statuses, 204), {"Retry-After": "1"})
    asked = person()
    request_id = _ask(person("service").client, asked.username, receiver.url)
    # When
    json_of(asked.client.post(request_path(request_id, "resolve"), {"action": "reject"}))
    # Then
    eventually(lambda: len(receiver.received) == 4)
    assert len({call.headers["webhook-id"] for call in receiver.received}) == 1


def test_a_callback_refused_with_410_is_dead_lettered(stack: Stack, receiver: Receiver, person: NewPerson) -> None:
    # Given
    receiver.answer = lambda _: (410, {})
    asked = person()
    request_id = _ask(person("service").client, asked.username, receiver.url)
    # When
    json_of(asked.client.post(request_path(request_id, "resolve"), {"action": "approve"}))
    # Then

    def reason() -> str | None:
        letters = dead_letters(stack).page("callback", 1_000)
        return next((letter.reason for letter in letters if request_id in letter.body), None)

    assert "410" in eventually(reason)
    assert len(receiver.received) == 1


def test_a_timeout_is_called_back(stack: Stack, receiver: Receiver, person: NewPerson) -> None:
    request_id = _ask(person("service").client, person().username, receiver.url, timeoutMs=1000)

    def called() -> Received | None:
        # Invoke the sweep at once, as the schedule does every minute.
        stack.client("lambda").invoke(FunctionName=f"holdfast-{STAGE}-sweep", Payload=_TICK)
        return next(iter(receiver.received), None)

    call = eventually(called, every_seconds=1)
    assert (call.event["type"], call.event["data"]["requestId"]) == ("approval.timeout", request_id)


def test_a_callback_url_to_a_private_address_is_refused(admin: Client, person: NewPerson) -> None:
    username = person().username
    for url in ("http://169.254.169.254/latest", "http://10.0.0.1/", "ftp://example.com/", "not a url"):
        question = {"username": username, "wait": False, "callbackUrl": url}
        problem = problem_of(admin.post("/send-notification", question), 422)
        assert [error["path"] for error in problem["errors"]] == ["callbackUrl"]


def test_a_callback_url_to_a_port_of_the_stack_is_refused(stack: Stack, admin: Client, person: NewPerson) -> None:
    username = person().username
    # Every process of the stack but the receiver, which is there for callbacks.
    children = [child for child in stack.children if child.name != "the receiver of callbacks"]
    processes = [psutil.Process(child.pid) for child in children]
    processes += [worker for process in processes for worker in process.children(recursive=True)]
    listened = {port for process in processes for port in _listened(process)}
    assert len(listened) >= len(children) == len(stack.children) - 1
    for port in listened | {stack.front.port, ports.SERVE}:
        for host in ("127.0.0.1", "localhost", "127.1.2.3"):
            question = {"username": username, "wait": False, "callbackUrl": f"http://{host}:{port}/"}
            problem = problem_of(admin.post("/send-notification", question), 422)
            assert problem["code"] == "address-refused"
            assert problem["errors"][0]["message"] == "This leads to a port of Holdfast's own stack."


def test_a_callback_reaches_the_receiver_of_the_stack(stack: Stack, person: NewPerson) -> None:
    # Given a callback URL that names the receiver as the console and the environment do
    asked, path = person(), f"/{secrets.token_hex(4)}"
    assert json_of(Client(stack.url).get("/console/config.json"))["receiver"] == stack.receiver_url
    assert stack.environment["RECEIVER_URL"] == stack.receiver_url
    request_id = _ask(person("service").client, asked.username, f"{stack.receiver_url}{path}")
    # When
    json_of(asked.client.post(request_path(request_id, "resolve"), {"action": "approve"}))

    # Then
    def called() -> Any:
        items = requests.get(f"{stack.receiver_url}/received", timeout=10).json()["items"]
        return next((item for item in items if item["path"] == path), None)

    call = eventually(called)
    event = json.loads(call["body"])
    assert (event["type"], event["data"]["requestId"], call["status"]) == ("approval.resolved", request_id, 204)
    assert call["headers"]["webhook-id"] == event["id"]
    assert call["headers"]["webhook-signature"].startswith("v1,")


def test_unknown_approvers_are_named_and_refused(admin: Client, person: NewPerson) -> None:
    known = person().username
    question = {"username": known, "wait": False, "approvers": ["nobody-1"], "required": 2}
    problem = problem_of(admin.post("/send-notification", question), 422)
    assert problem["errors"] == [{"path": "approvers", "message": "nobody-1 is not a user"}]
    problem_of(admin.post("/send-notification", {"username": "nobody-1", "wait": False}), 404)


def test_an_escalated_person_may_answer(person: NewPerson) -> None:
    # Given
    caller, asked, next_one = person("service"), person(), person()
    request_id = json_of(
        caller.client.post(
            "/send-notification",
            {
                "username": asked.username,
                "wait": False,
                # Long enough for an endpoint that delivers late.
                "timeoutMs": 300_000,
                "escalateTo": [{"username": next_one.username, "afterMs": 1000}],
            },
        ),
        202,
    )["requestId"]
    problem_of(next_one.client.post(request_path(request_id, "resolve"), {"action": "approve"}), 403)
    # When
    eventually(lambda: next_one.client.get(request_path(request_id)).status_code == 200)
    # Then
    decided = json_of(next_one.client.post(request_path(request_id, "resolve"), {"action": "approve"}))
    assert [answer["username"] for answer in decided["answers"]] == [next_one.username]
    assert decided["approvers"] == [asked.username, next_one.username]


def _ask(client: Client, username: str, url: str, **more: object) -> str:
    question = {"username": username, "wait": False, "callbackUrl": url, **more}
    return str(json_of(client.post("/send-notification", question), 202)["requestId"])


_TICK = (
    b'{"version":"0","id":"tick","detail-type":"Scheduled Event","source":"aws.events","account":"000000000000",'
    b'"time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":[],"detail":{}}'
)


def _listened(process: psutil.Process) -> set[int]:
    """Return the ports on which *process* listens; none if the process has just ended, as functions' workers do."""
    try:
        connections = process.net_connections()
    except psutil.NoSuchProcess:
        return set()
    return {connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN}
