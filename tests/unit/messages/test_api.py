"""Messages over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.rates import Rates
from chalicelib.core.stores import clients
from chalicelib.core.web.roles import Role
from chalicelib.messages import wiring
from chalicelib.sessions import wiring as sessions
from chalicelib.users import wiring as users_wiring
from tests.support.gateway import ask
from tests.support.users import signed_in
from tests.unit.messages.conftest import Pushes

Mongo = Database[dict[str, Any]]
PATH = "/api/messages"
NEW = {"to": "bob", "chatId": "chat", "message": "Hello"}

pytestmark = pytest.mark.usefixtures("store", "users", "mail")


@pytest.fixture
def ann() -> str:
    return signed_in("ann", Role.USER)


@pytest.fixture
def bob() -> str:
    return signed_in("bob", Role.USER)


def listed(token: str, username: str = "bob", **query: str) -> list[str]:
    answer = ask("GET", f"{PATH}/buffered/{username}", token=token, query=query or None)
    assert answer.status == 200, answer.text
    return [item["message"] for item in answer.json["items"]]


def test_a_sent_message_is_buffered_for_its_receiver(ann: str, bob: str) -> None:
    answer = ask("POST", PATH, NEW | {"clientMessageId": "c", "priority": "high"}, token=ann)
    assert (answer.status, answer.json["status"]) == (201, "buffered")
    (item,) = ask("GET", f"{PATH}/buffered/bob", token=bob).json["items"]
    assert item.pop("createdAt") < item.pop("expiresAt")
    assert item == {
        "messageId": answer.json["messageId"],
        "from": "ann",
        "chatId": "chat",
        "message": "Hello",
        "clientMessageId": "c",
        "priority": "high",
        "seq": 1,
    }


def test_a_message_is_pushed_to_the_receivers_connections(ann: str, bob: str, pushes: Pushes) -> None:
    account_id = users_wiring.store().accounts(["bob"])["bob"]
    pushes.open[account_id] = 2
    message_id = ask("POST", PATH, NEW, token=ann).json["messageId"]
    ((receiver, event),) = pushes.events
    assert (receiver, event["event"], event["messageId"], event["from"]) == (
        account_id,
        "chat_message",
        message_id,
        "ann",
    )


def test_a_resend_answers_the_id_of_the_first_send(ann: str, bob: str) -> None:
    first, again = (ask("POST", PATH, NEW | {"clientMessageId": "c"}, token=ann) for _ in range(2))
    assert (again.status, again.json) == (201, first.json)
    assert listed(bob) == ["Hello"]


def test_a_repeat_under_an_idempotency_key_stores_one_message(ann: str, bob: str) -> None:
    headers = {"Idempotency-Key": "k"}
    first, again = (ask("POST", PATH, NEW, token=ann, headers=headers) for _ in range(2))
    assert first.json == again.json
    assert listed(bob) == ["Hello"]


def test_a_message_to_nobody_is_refused(ann: str) -> None:
    answer = ask("POST", PATH, NEW, token=ann)
    assert (answer.status, answer.json["code"]) == (404, "unknown-receiver")


@pytest.mark.parametrize(("text", "status"), [("é" * 32_767, 201), ("é" * 32_768, 413), ("\x01" * 11_000, 413)])
def test_a_message_holds_64_kb_of_json(ann: str, bob: str, text: str, status: int) -> None:
    assert ask("POST", PATH, NEW | {"message": text}, token=ann).status == status


def test_a_full_mailbox_is_a_conflict(ann: str, bob: str, options: Callable[..., None], mongodb: Mongo) -> None:
    ask("POST", PATH, NEW, token=ann)
    mongodb.mailboxes.update_one({}, [{"$set": {"undelivered": 10_000, "countedAt": "$$NOW"}}])
    answer = ask("POST", PATH, NEW, token=ann)
    assert (answer.status, answer.json["code"]) == (409, "mailbox-full")


def test_a_user_sends_a_hundred_messages_in_a_second(ann: str, bob: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = Rates(clients.table("coordination"), now=lambda: 1_700_000_000.0)
    monkeypatch.setattr(coordination, "rates", lambda: rates)
    batch = {"messages": [NEW] * 60}
    assert ask("POST", f"{PATH}/batch", batch, token=ann).status == 200
    answer = ask("POST", f"{PATH}/batch", batch, token=ann)
    assert (answer.status, answer.json["code"]) == (429, "sending-too-fast")
    assert int(answer.headers["Retry-After"]) == 1
    assert ask("POST", PATH, NEW, token=ann).status == 201


def test_only_roles_of_the_settings_may_send(ann: str, bob: str, options: Callable[..., None]) -> None:
    options(MESSAGES_SENDERS='["service"]')
    assert ask("POST", PATH, NEW, token=ann).status == 403
    assert ask("POST", PATH, NEW, token=signed_in("svc", Role.SERVICE)).status == 201
    assert ask("POST", PATH, NEW, token=signed_in("boss", Role.ADMIN)).status == 201


def test_each_message_of_a_batch_is_answered_for_itself(ann: str, bob: str) -> None:
    batch = [NEW | {"clientMessageId": "c"}, NEW | {"to": "nobody"}, {"to": "bob"}, NEW | {"clientMessageId": "c"}]
    answer = ask("POST", f"{PATH}/batch", {"messages": batch}, token=ann)
    assert answer.status == 200
    first, unknown, faulty, again = answer.json["results"]
    assert (first["status"], again) == ("buffered", first)
    assert (unknown["status"], unknown["problem"]["code"]) == ("refused", "unknown-receiver")
    assert (faulty["messageId"], faulty["problem"]["status"]) == (None, 422)
    assert {error["path"] for error in faulty["problem"]["errors"]} == {"chatId", "message"}
    assert listed(bob) == ["Hello"]


def test_a_repeated_batch_stores_each_message_once(ann: str, bob: str, mongodb: Mongo) -> None:
    headers = {"Idempotency-Key": "k"}
    first = ask("POST", f"{PATH}/batch", {"messages": [NEW, NEW]}, token=ann, headers=headers)
    # As after a crash: the work is done, and its answer is not stored.
    operation = first.json["results"][0]["messageId"][:10]
    assert [result["messageId"][:10] for result in first.json["results"]] == [operation] * 2
    assert len({result["messageId"] for result in first.json["results"]}) == 2
    assert ask("POST", f"{PATH}/batch", {"messages": [NEW, NEW]}, token=ann, headers=headers).json == first.json
    assert mongodb.messages.count_documents({}) == 2


def test_pages_of_buffered_messages_follow_each_other(ann: str, bob: str) -> None:
    for text, priority in (("1", "normal"), ("2", "high"), ("3", "normal")):
        ask("POST", PATH, NEW | {"message": text, "priority": priority}, token=ann)
    first = ask("GET", f"{PATH}/buffered/bob", token=bob, query={"limit": "2"}).json
    assert [item["message"] for item in first["items"]] == ["2", "1"]
    assert listed(bob, limit="2", cursor=first["nextCursor"]) == ["3"]


def test_only_receiver_and_administrator_see_the_buffer(ann: str, bob: str) -> None:
    ask("POST", PATH, NEW, token=ann)
    boss = signed_in("boss", Role.ADMIN)
    assert ask("GET", f"{PATH}/buffered/bob", token=ann).status == 403
    assert listed(boss) == ["Hello"]
    assert ask("GET", f"{PATH}/buffered/nobody", token=boss).status == 404
    assert ask("DELETE", f"{PATH}/buffered/bob", token=bob).status == 403
    assert ask("DELETE", f"{PATH}/buffered/bob", token=boss).json == {"deleted": 1}
    assert listed(bob) == []


def test_a_new_account_of_a_name_inherits_no_message(ann: str, bob: str) -> None:
    ask("POST", PATH, NEW, token=ann)
    boss = signed_in("boss", Role.ADMIN)
    assert ask("DELETE", "/api/users/bob", token=boss).status == 204
    again = users_wiring.store().add("bob", "no hash", [Role.USER])
    token = sessions.store().open("bob", again.roles, again.epoch, again.account_id).token
    assert listed(token) == []
    assert wiring.mailboxes().undelivered(again.account_id) == 0
