"""Messages by device: a join that names its device gets everything that the device has not acknowledged."""

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.runtime import ids
from chalicelib.core.web.frames import Connection
from chalicelib.core.web.roles import Caller, Role
from chalicelib.messages import actions, offer, wiring
from chalicelib.messages.actions import Acknowledged
from chalicelib.messages.readers import AWAITED, END
from chalicelib.messages.store import MessageStore, View
from tests.unit.messages.build import ANN, BOB, ROOM, a_message, age, send

Mongo = Database[dict[str, Any]]
LATE = ids.new_id()


def connection(name: str) -> Connection:
    return Connection(name, Caller(BOB.username, frozenset({Role.USER}), "s", BOB.account_id))


class Device:
    """A device of bob, whose app acknowledges everything."""

    def __init__(self, name: str) -> None:
        self.name, self.connection = name, connection(f"{name}'s")

    def join(self) -> list[str]:
        """Join, acknowledge each batch, and return the texts."""
        events, got = offer.join(self.connection, self.name), []
        while events and events[0]["event"] == "messages":
            got += [item["message"] for item in events[0]["items"]]
            events = self.ack(*(item["messageId"] for item in events[0]["items"]))
        assert [event["event"] for event in events] == ["joined"]
        return got

    def ack(self, *message_ids: str) -> list[Any]:
        return list(actions.acknowledge(self.connection, Acknowledged(action="ack", message_ids=list(message_ids))))


@pytest.fixture
def phone(store: MessageStore) -> Device:
    return Device("phone")


@pytest.fixture
def tablet(store: MessageStore) -> Device:
    return Device("tablet")


def test_device_that_was_away_gets_what_another_acknowledged(
    store: MessageStore, phone: Device, tablet: Device
) -> None:
    tablet.join()
    for text, priority in (("1", "normal"), ("2", "high"), ("3", "normal")):
        send(store, message=text, priority=priority)
    assert phone.join() == ["2", "1", "3"]
    assert tablet.join() == ["2", "1", "3"]
    assert phone.join() == tablet.join() == []


def test_new_device_gets_every_kept_message_in_order(store: MessageStore, phone: Device, tablet: Device) -> None:
    for text, priority in (("1", "normal"), ("2", "high")):
        send(store, message=text, priority=priority)
    phone.join()
    send(store, message="3", priority="high")
    assert tablet.join() == ["2", "3", "1"]


def test_join_without_a_device_gets_undelivered_messages_alone(store: MessageStore, phone: Device) -> None:
    send(store, message="delivered")
    phone.join()
    send(store, message="undelivered")
    (batch,) = offer.join(connection("page"))
    assert [item["message"] for item in batch["items"]] == ["undelivered"]


def test_acknowledgement_of_any_device_makes_a_message_delivered(store: MessageStore, phone: Device) -> None:
    send(store)
    phone.join()
    assert store.count(BOB.account_id) == 0
    assert offer.join(Device("tablet").connection, "tablet")[0]["event"] == "messages"
    assert store.count(BOB.account_id) == 0


def test_acknowledgement_that_names_a_device_counts_for_it(store: MessageStore, phone: Device, tablet: Device) -> None:
    tablet.join()
    phone.join()
    sent = send(store)
    store.acknowledge(BOB, [sent.message_id], "phone")
    store.acknowledge(BOB, [sent.message_id], "tablet")
    assert phone.join() == tablet.join() == []


def test_lost_push_comes_at_a_ping_though_another_device_acknowledged(
    store: MessageStore, mongodb: Mongo, phone: Device, tablet: Device
) -> None:
    phone.join()
    tablet.join()
    sent = send(store, message="lost")
    phone.ack(sent.message_id)
    age(mongodb)
    (batch,) = offer.remind(tablet.connection)
    assert [item["message"] for item in batch["items"]] == ["lost"]


@pytest.mark.parametrize("comes_by", ["ping", "join"])
def test_send_under_way_at_the_first_join_reaches_the_device(
    store: MessageStore, mongodb: Mongo, phone: Device, tablet: Device, comes_by: str
) -> None:
    tablet.join()
    age(mongodb, 130)
    admitted = wiring.mailboxes().admit(BOB)
    phone.join()
    assert store._insert(LATE, ANN, BOB, a_message(), admitted)
    tablet.join()
    age(mongodb, 130)
    if comes_by == "join":
        assert LATE in message_ids(offer.join(phone.connection, "phone"))
    else:
        assert LATE in message_ids(offer.remind(phone.connection))


def test_acknowledgement_before_the_mark_counts_for_the_device(
    store: MessageStore, mongodb: Mongo, phone: Device
) -> None:
    age(mongodb, 130)
    admitted = wiring.mailboxes().admit(BOB)
    phone.join()
    # Given a message that was counted before the device's first join, and that another device acknowledged
    store._insert(LATE, ANN, BOB, a_message(), admitted)
    store.acknowledge(BOB, [LATE], "tablet")
    # When the phone acknowledges the push
    phone.ack(LATE)
    age(mongodb, 130)
    # Then its next join does not offer the message
    assert phone.join() == []


def test_ping_of_an_idle_device_writes_nothing(mongodb: Mongo, phone: Device) -> None:
    phone.join()
    age(mongodb, 130)
    assert offer.remind(phone.connection) == []
    before = mongodb.message_joins.find_one(), mongodb.mailboxes.find_one()
    age(mongodb, 0)
    assert offer.remind(phone.connection) == []
    assert (mongodb.message_joins.find_one(), mongodb.mailboxes.find_one()) == before


def test_device_whose_join_is_the_oldest_is_forgotten(
    store: MessageStore, mongodb: Mongo, phone: Device, options: Callable[..., None]
) -> None:
    most = wiring.options().devices_at_most
    phone.join()
    others = [Device(f"device-{number}") for number in range(most)]
    for device in others:
        device.join()
    assert len(mongodb.mailboxes.find_one({"_id": BOB.account_id})["devices"]) == most  # type: ignore[index]
    sent = send(store, message="meanwhile")
    assert "phone" not in mongodb.messages.find_one({"_id": sent.message_id})["awaits"]  # type: ignore[index]
    # A forgotten device that comes again is a new one.
    assert phone.join() == ["meanwhile"]


def test_devices_go_with_their_account(store: MessageStore, mongodb: Mongo, phone: Device) -> None:
    phone.join()
    store.forget("bob")
    assert mongodb.mailboxes.find_one() is None


def test_join_of_a_device_that_is_up_to_date_reads_no_message(
    store: MessageStore, mongodb: Mongo, phone: Device
) -> None:
    for _ in range(20):
        send(store)
    phone.join()
    pipeline = [{"$match": {"to": BOB.account_id, "awaits": "phone", "order": {"$gt": 0}}}, {"$sort": {"order": 1}}]
    command = {"aggregate": "messages", "pipeline": pipeline, "cursor": {}, "hint": AWAITED}
    told = mongodb.command("explain", command, verbosity="executionStats")["executionStats"]
    assert (told["totalKeysExamined"], told["totalDocsExamined"]) == (0, 0)
    assert store.choose(BOB.account_id, 0, ROOM, None, View("phone", END)) == []


def message_ids(events: list[Any]) -> list[str]:
    return [item["messageId"] for event in events if event["event"] == "messages" for item in event["items"]]
