"""WebSocket connections through the front: admission, answers to frames, and the causes of an end."""

from contextlib import AbstractContextManager

import pytest

from infra.local.stack import Stack
from tests.support.client import Client, Person, json_of
from tests.support.sockets import Refused, Socket, connect, connected, url_of
from tests.support.stack import NewPerson


def socket_of(stack: Stack, person: Person) -> AbstractContextManager[Socket]:
    return connected(url_of(stack.url), "holdfast", f"token.{person.client.token}")


def test_connection_with_a_token_gets_pong_and_the_subprotocol(stack: Stack, person: NewPerson) -> None:
    with socket_of(stack, person()) as socket:
        assert socket.protocol == "holdfast"
        assert socket.ask({"action": "ping", "id": "1"}) == {"event": "pong", "id": "1"}


def test_connection_with_a_ticket_is_admitted_once(stack: Stack, person: NewPerson) -> None:
    ticket = json_of(person().client.post("/api/sessions/current/ticket", {"path": "/ws"}), 201)["ticket"]
    address = f"{url_of(stack.url)}?ticket={ticket}"
    with connected(address) as socket:
        assert socket.ask({"action": "ping"}) == {"event": "pong"}
    with pytest.raises(Refused) as refused:
        connect(address)
    assert refused.value.status == 403


@pytest.mark.parametrize("protocols", [(), ("holdfast",), ("holdfast", "token.wrong")])
def test_connection_without_valid_credentials_is_refused(stack: Stack, protocols: tuple[str, ...]) -> None:
    with pytest.raises(Refused):
        connect(url_of(stack.url), *protocols)


def test_faulty_frames_are_answered_and_the_connection_stays(stack: Stack, person: NewPerson) -> None:
    with socket_of(stack, person()) as socket:
        for frame, code in [
            ("not json", "not-a-frame"),
            ('{"id": "a"}', "not-a-frame"),
            ('{"action": "fly", "id": "a"}', "unknown-action"),
            # An emulator calls the function of connects, and of disconnects.
            ('{"action": "$connect", "id": "a"}', "unknown-action"),
            ('{"action": "$disconnect", "id": "a"}', "unknown-action"),
            ('{"action": "ping", "id": "a", "more": 1}', "invalid-fields"),
            ('{"action": "subscribe", "id": "a", "topics": ["weather"]}', "unknown-topic"),
            ('{"action": "ping", "id": "a", "x": "' + "x" * 30_000 + '"}', "frame-too-large"),
        ]:
            socket.send_text(frame)
            answer = socket.receive()
            assert (answer["event"], answer["code"]) == ("error", code)
            assert answer["requestId"]
            assert answer.get("id") == ("a" if '"id": "a"' in frame else None)
        assert socket.ask({"action": "ping"}) == {"event": "pong"}


def test_sign_out_closes_the_connection(stack: Stack, person: NewPerson) -> None:
    ann = person()
    other = Client(stack.url).signed_in(ann.username, ann.password)
    with (
        connected(url_of(stack.url), f"token.{other.token}") as stays,
        connected(url_of(stack.url), f"token.{ann.client.token}") as socket,
    ):
        assert ann.client.delete("/api/sessions/current").status_code == 204
        assert socket.closed() is not None
        assert stays.ask({"action": "ping"}) == {"event": "pong"}


def test_question_and_outcome_reach_the_open_connections(stack: Stack, person: NewPerson) -> None:
    ann, bot = person(), person("service")
    with socket_of(stack, ann) as phone, socket_of(stack, ann) as tab, socket_of(stack, bot) as caller:
        for socket in (phone, tab, caller):
            socket.send({"action": "subscribe", "topics": ["inbox", "approvals"]})
            assert [snapshot["topic"] for snapshot in socket.until("subscribed")["snapshots"]] == ["inbox", "approvals"]
        new = {"username": ann.username, "title": "Pay?", "wait": False}
        request_id = json_of(bot.client.post("/send-notification", new), 202)["requestId"]
        assert [socket.until("approval.requested")["requestId"] for socket in (phone, tab)] == [request_id] * 2
        json_of(ann.client.post(f"/api/pending-responses/{request_id}/resolve", {"action": "approve"}))
        assert tab.until("approval.answered-elsewhere")["requestId"] == request_id
        told = caller.until("approval.resolved")
        assert (told["requestId"], told["status"], told["action"]) == (request_id, "resolved", "approve")


def test_console_learns_the_address_of_the_front(stack: Stack) -> None:
    assert json_of(Client(stack.url).get("/console/config.json"))["socketUrl"] == url_of(stack.url)


def test_front_logs_no_token(stack: Stack, person: NewPerson, caplog: pytest.LogCaptureFixture) -> None:
    token = person().client.token
    with connected(url_of(stack.url), f"token.{token}") as socket:
        assert socket.protocol is None
    assert token
    assert token not in caplog.text
