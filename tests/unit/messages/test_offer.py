"""What a connection is offered: after a join, after acknowledgements, and at a ping."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.runtime.accounts import Account
from chalicelib.core.web.frames import Connection, Event
from chalicelib.core.web.roles import Caller, Role
from chalicelib.messages import actions, offer, wiring
from chalicelib.messages.actions import Acknowledged
from chalicelib.messages.store import MessageStore
from tests.support.concurrency import race
from tests.unit.messages.build import ANN, BOB, send
from tests.unit.messages.conftest import Pushes

Mongo = Database[dict[str, Any]]


def connection(owner: Account, name: str = "phone") -> Connection:
    return Connection(name, Caller(owner.username, frozenset({Role.USER}), "s", owner.account_id))


PHONE = connection(BOB)


def ack(message_ids: Sequence[str], at: Connection = PHONE) -> list[Event]:
    frame = Acknowledged(action="ack", message_ids=list(message_ids), device_id="phone")
    return list(actions.acknowledge(at, frame))


def texts(events: Sequence[Event]) -> list[str]:
    return [item["message"] for event in events if event["event"] == "messages" for item in event["items"]]


def message_ids(events: Sequence[Event]) -> list[str]:
    return [item["messageId"] for event in events if event["event"] == "messages" for item in event["items"]]


def age(mongodb: Mongo) -> None:
    """Let ten seconds pass for joins and messages: longer than a push is on its way."""
    for collection, fields in (("message_joins", ("offeredAt", "since", "until")), ("messages", ("createdAt",))):
        earlier = {name: {"$subtract": [f"${name}", 10_000]} for name in fields}
        mongodb[collection].update_many({}, [{"$set": earlier}])


@pytest.fixture
def joined(store: MessageStore) -> None:
    """The phone has joined, and nothing waits."""
    assert offer.join(PHONE) == [{"event": "joined", "undelivered": 0}]


def test_a_join_offers_batches_of_100_kb_until_the_backlog_is_read(store: MessageStore) -> None:
    for number in range(5):
        send(store, message=f"{number}" * 40_000, priority="high" if number == 4 else "normal")
    events, seen = offer.join(PHONE), []
    while texts(events):
        seen.append([text[0] for text in texts(events)])
        events = ack(message_ids(events))
    assert seen == [["4", "0"], ["1", "2"], ["3"]]
    assert events == [{"event": "joined", "undelivered": 0}]


def test_a_message_that_is_not_acknowledged_is_offered_once_in_a_join(store: MessageStore) -> None:
    for number in range(4):
        send(store, message=f"{number}" * 40_000)
    first = message_ids(offer.join(PHONE))
    events = ack(first[:1])
    assert [text[0] for text in texts(events)] == ["2", "3"]
    assert ack(message_ids(events)) == [{"event": "joined", "undelivered": 1}]
    assert message_ids(offer.join(PHONE)) == first[1:]


def test_a_message_stored_late_below_the_cursor_is_offered(store: MessageStore) -> None:
    for number in range(3):
        send(store, message=f"{number}" * 60_000)
    events = offer.join(PHONE)
    late = send(store, message="late", priority="high")
    seen = []
    while texts(events):
        seen += message_ids(events)
        events = ack(message_ids(events))
    assert late.message_id in seen
    assert len(seen) == 4


def test_an_unreadable_message_does_not_end_a_join(store: MessageStore, mongodb: Mongo) -> None:
    for number in range(3):
        send(store, message=f"{number}" * 60_000)
    mongodb.messages.update_one({"seq": 2}, {"$unset": {"chatId": ""}})
    events, seen = offer.join(PHONE), []
    while texts(events):
        seen += [text[0] for text in texts(events)]
        events = ack(message_ids(events))
    assert seen == ["0", "2"]
    assert events == [{"event": "joined", "undelivered": 1}]


def test_one_of_several_acknowledgements_brings_the_next_batch(store: MessageStore) -> None:
    for number in range(4):
        send(store, message=f"{number}" * 90_000)
    first = message_ids(offer.join(PHONE))
    answers = race([partial(ack, first) for _ in range(6)])
    assert sorted(len(texts(answer)) for answer in answers if isinstance(answer, list)) == [0, 0, 0, 0, 0, 1]


def test_each_device_of_a_user_gets_every_message(store: MessageStore) -> None:
    send(store)
    tablet = connection(BOB, "tablet")
    assert texts(offer.join(PHONE)) == texts(offer.join(tablet)) == ["Hello"]


def test_a_ping_of_an_idle_connection_brings_nothing(joined: None, mongodb: Mongo) -> None:
    age(mongodb)
    before = mongodb.message_joins.find_one()
    assert offer.remind(PHONE) == []
    assert mongodb.message_joins.find_one() == before


def test_a_ping_before_the_join_brings_nothing(store: MessageStore) -> None:
    send(store)
    assert offer.remind(PHONE) == []


def test_a_push_that_was_lost_is_offered_at_the_next_ping(joined: None, store: MessageStore, mongodb: Mongo) -> None:
    send(store, message="lost")
    assert offer.remind(PHONE) == []
    age(mongodb)
    events = offer.remind(PHONE)
    assert texts(events) == ["lost"]
    assert ack(message_ids(events)) == []
    age(mongodb)
    assert offer.remind(PHONE) == []


def test_a_ping_offers_a_message_that_nobody_acknowledges_once(
    joined: None, store: MessageStore, mongodb: Mongo
) -> None:
    send(store, message="ignored")
    age(mongodb)
    assert texts(offer.remind(PHONE)) == ["ignored"]
    age(mongodb)
    # A batch of which nothing was acknowledged is repeated once.
    assert texts(offer.remind(PHONE)) == ["ignored"]
    for _ in range(2):
        age(mongodb)
        assert offer.remind(PHONE) == []


def test_a_batch_that_was_lost_is_repeated_at_a_ping(store: MessageStore, mongodb: Mongo) -> None:
    send(store)
    first = offer.join(PHONE)
    assert offer.remind(PHONE) == []
    age(mongodb)
    assert message_ids(offer.remind(PHONE)) == message_ids(first)


def test_a_next_batch_that_was_lost_comes_at_a_ping(store: MessageStore, mongodb: Mongo) -> None:
    for number in range(2):
        send(store, message=f"{number}" * 60_000)
    first = message_ids(offer.join(PHONE))
    # As if the process died after the acknowledgement was stored.
    store.acknowledge(BOB, first, None)
    age(mongodb)
    assert [text[0] for text in texts(offer.remind(PHONE))] == ["1"]


def test_an_acknowledgement_tells_the_sender(store: MessageStore, pushes: Pushes) -> None:
    pushes.open[ANN.account_id] = 1
    sent = send(store, clientMessageId="c")
    ack([sent.message_id])
    actions.read(PHONE, Acknowledged(action="read", message_ids=[sent.message_id], device_id="tablet"))
    receipt = {"event": "receipt", "clientMessageId": "c", "messageId": sent.message_id}
    assert pushes.events == [
        (ANN.account_id, {**receipt, "status": "delivered", "deviceId": "phone"}),
        (ANN.account_id, {**receipt, "status": "read", "deviceId": "tablet"}),
    ]


@pytest.mark.usefixtures("users", "mail")
def test_a_frame_that_comes_twice_sends_one_message(store: MessageStore, pushes: Pushes) -> None:
    from tests.support.users import signed_in  # noqa: PLC0415

    signed_in("bob", Role.USER)
    fields = {"to": "bob", "chat_id": "chat", "message": "Hello", "client_message_id": "c"}
    frame = actions.ChatMessage.model_validate({"action": "chat_message", **fields})
    first, again = (actions.chat_message(connection(ANN), frame) for _ in range(2))
    assert first == again
    assert (first["event"], first["status"], first["pushedTo"]) == ("receipt", "buffered", 0)
    assert wiring.stats().buffer().undelivered == 1
