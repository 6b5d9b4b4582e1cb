from datetime import timedelta
from typing import Any

from pymongo.database import Database

from chalicelib.core.runtime import ids
from chalicelib.messages.models import Status
from chalicelib.messages.store import MessageStore
from tests.unit.messages.build import ANN, BOB, a_message, send, undelivered

Mongo = Database[dict[str, Any]]
_PAST = [{"$set": {"purgeAt": {"$subtract": ["$$NOW", 1]}}}]


def test_high_messages_come_before_normal_ones_in_order_of_seq(store: MessageStore) -> None:
    for text, priority in (("1", "normal"), ("2", "high"), ("3", "normal"), ("4", "high")):
        send(store, message=text, priority=priority)
    assert undelivered(store) == ["2", "4", "1", "3"]


def test_a_resend_under_the_same_client_id_is_stored_once(store: MessageStore) -> None:
    first = send(store, clientMessageId="c")
    again = send(store, clientMessageId="c", message="other")
    assert (first.new, again.new) == (True, False)
    assert (again.message_id, again.message.message) == (first.message_id, "Hello")
    assert undelivered(store) == ["Hello"]
    assert store.count(BOB.account_id) == 1


def test_another_sender_may_use_the_same_client_id(store: MessageStore) -> None:
    assert send(store, clientMessageId="c").new
    assert send(store, sender=BOB, receiver=ANN, clientMessageId="c").new


def test_a_repeat_under_the_same_message_id_is_stored_once(store: MessageStore) -> None:
    message_id = ids.new_id()
    assert [store.put(message_id, ANN, BOB, a_message()).new for _ in range(2)] == [True, False]
    assert undelivered(store) == ["Hello"]


def test_a_resend_of_an_acknowledged_message_is_delivered(store: MessageStore) -> None:
    first = send(store, clientMessageId="c")
    store.acknowledge(BOB, [first.message_id], None)
    assert send(store, clientMessageId="c").status is Status.DELIVERED
    assert undelivered(store) == []


def test_a_client_id_is_free_once_its_message_has_expired(store: MessageStore, mongodb: Mongo) -> None:
    first = send(store, clientMessageId="c", message="old")
    mongodb.messages.update_one({"_id": first.message_id}, _PAST)
    assert send(store, clientMessageId="c", message="new").new
    assert undelivered(store) == ["new"]


def test_an_acknowledgement_yields_receipts_for_the_sender(store: MessageStore) -> None:
    sent = send(store, clientMessageId="c")
    (receipt,) = store.acknowledge(BOB, [sent.message_id, ids.new_id()], "phone")
    assert (receipt.sender, receipt.message_id, receipt.client_message_id) == (ANN, sent.message_id, "c")
    assert (receipt.status, receipt.device) == (Status.DELIVERED, "phone")


def test_a_second_acknowledgement_changes_nothing(store: MessageStore, mongodb: Mongo) -> None:
    sent = send(store)
    first = store.acknowledge(BOB, [sent.message_id], "phone")
    before = mongodb.messages.find_one()
    assert store.acknowledge(BOB, [sent.message_id], "tablet") == first
    assert mongodb.messages.find_one() == before


def test_only_the_receiver_acknowledges_a_message(store: MessageStore) -> None:
    sent = send(store)
    assert store.acknowledge(ANN, [sent.message_id], None) == []
    assert undelivered(store) == ["Hello"]


def test_a_read_message_is_delivered_and_names_the_first_device(store: MessageStore) -> None:
    sent = send(store)
    receipts = [store.read(BOB, [sent.message_id], device)[0] for device in ("phone", "tablet")]
    assert [(receipt.status, receipt.device) for receipt in receipts] == [(Status.READ, "phone")] * 2
    assert undelivered(store) == []


def test_messages_are_kept_as_long_as_the_settings_say(store: MessageStore, mongodb: Mongo) -> None:
    sent, acked = send(store), send(store)
    store.acknowledge(BOB, [acked.message_id], None)
    kept = {found["_id"]: found for found in mongodb.messages.find()}
    assert kept[sent.message_id]["purgeAt"] - kept[sent.message_id]["createdAt"] == timedelta(days=30)
    assert kept[acked.message_id]["purgeAt"] - kept[acked.message_id]["deliveredAt"] == timedelta(days=7)


def test_an_expired_message_is_neither_offered_nor_counted(store: MessageStore, mongodb: Mongo) -> None:
    sent = send(store)
    mongodb.messages.update_one({"_id": sent.message_id}, _PAST)
    assert undelivered(store) == []
    assert list(store.page(BOB.account_id, 10, None)) == []
    assert store.count(BOB.account_id) == 0
    assert store.acknowledge(BOB, [sent.message_id], None) == []


def test_an_unreadable_message_delays_no_other(store: MessageStore, mongodb: Mongo) -> None:
    for text in ("1", "2", "3"):
        send(store, message=text)
    mongodb.messages.update_one({"message": "2"}, {"$unset": {"chatId": ""}})
    assert undelivered(store) == ["1", "3"]
    assert [message.message for _, message in store.page(BOB.account_id, 10, None)] == ["1", "3"]


def test_a_batch_ends_before_the_message_without_room(store: MessageStore) -> None:
    for _ in range(3):
        send(store, message="x" * 40_000)
    assert len(store.choose(BOB.account_id, 0, 100_000)) == 2
    assert len(store.choose(BOB.account_id, 0, 10)) == 1


def test_deleting_removes_the_undelivered_ones_alone(store: MessageStore, mongodb: Mongo) -> None:
    acked = send(store)
    store.acknowledge(BOB, [acked.message_id], None)
    send(store)
    send(store, receiver=ANN)
    assert store.delete(BOB.account_id) == 1
    assert mongodb.messages.count_documents({}) == 2


def test_a_forgotten_name_leaves_no_message_and_no_mailbox(store: MessageStore, mongodb: Mongo) -> None:
    send(store)
    send(store, receiver=ANN)
    for _ in range(2):
        store.forget("bob")
    assert mongodb.messages.distinct("toName") == ["ann"]
    assert mongodb.mailboxes.distinct("username") == ["ann"]
