"""The limit of undelivered messages: exact under simultaneous sends, and counted anew where the count has drifted."""

from functools import partial
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.messages import wiring
from chalicelib.messages.errors import MailboxFull
from chalicelib.messages.models import Kept
from chalicelib.messages.store import MessageStore
from tests.support.concurrency import race
from tests.unit.messages.build import BOB, send

Mongo = Database[dict[str, Any]]


def test_simultaneous_sends_fill_a_mailbox_to_its_limit(small: MessageStore, mongodb: Mongo) -> None:
    answers = race([partial(send, small) for _ in range(20)])
    assert sum(isinstance(answer, MailboxFull) for answer in answers) == 15
    assert mongodb.messages.count_documents({}) == 5
    assert sorted(mongodb.messages.distinct("seq")) == [1, 2, 3, 4, 5]


def test_simultaneous_sends_of_one_client_id_store_one_message(store: MessageStore, mongodb: Mongo) -> None:
    answers = race([partial(send, store, clientMessageId="c") for _ in range(16)])
    assert len({answer.message_id for answer in answers if isinstance(answer, Kept)}) == 1
    assert sum(isinstance(answer, Kept) and answer.new for answer in answers) == 1
    assert mongodb.messages.count_documents({}) == 1
    assert wiring.mailboxes().undelivered(BOB.account_id) == 1


def test_simultaneous_acknowledgements_count_a_message_once(store: MessageStore) -> None:
    sent = [send(store).message_id for _ in range(10)]
    race([partial(store.acknowledge, BOB, sent[:9], None) for _ in range(8)])
    assert wiring.mailboxes().undelivered(BOB.account_id) == 1


def test_a_full_mailbox_still_answers_a_resend(small: MessageStore) -> None:
    first, *_ = [send(small, clientMessageId=str(number)) for number in range(5)]
    assert send(small, clientMessageId="0").message_id == first.message_id
    with pytest.raises(MailboxFull):
        send(small, clientMessageId="new")


def test_an_acknowledgement_makes_room(small: MessageStore) -> None:
    first, *_ = [send(small) for _ in range(5)]
    small.acknowledge(BOB, [first.message_id], None)
    assert send(small).message.seq == 6


def test_a_deletion_makes_room(small: MessageStore) -> None:
    for _ in range(5):
        send(small)
    small.delete(BOB.account_id)
    assert send(small).new


def test_a_full_mailbox_is_counted_anew_where_messages_expired(small: MessageStore, mongodb: Mongo) -> None:
    for _ in range(5):
        send(small)
    # As MongoDB removes an expired message: the count stays.
    mongodb.messages.delete_many({"seq": {"$lte": 2}})
    assert send(small).new
    assert mongodb.mailboxes.find_one()["undelivered"] == 4  # type: ignore[index]


def test_the_hourly_count_corrects_a_count_that_has_drifted(store: MessageStore, mongodb: Mongo) -> None:
    send(store)
    mongodb.mailboxes.update_one({}, [{"$set": {"undelivered": 700, "recountAt": "$$NOW"}}])
    mailboxes = wiring.mailboxes()
    assert mailboxes.to_recount(10) == [BOB.account_id]
    assert mailboxes.recount(BOB.account_id)
    assert mailboxes.undelivered(BOB.account_id) == 1
    assert mailboxes.to_recount(10) == []


def test_a_count_made_during_a_send_is_not_stored(store: MessageStore, mongodb: Mongo) -> None:
    send(store)
    mailboxes = wiring.mailboxes()
    mongodb.mailboxes.update_one({}, {"$set": {"undelivered": 700}})

    def count(_: str) -> int:
        send(store)
        return 1

    counting = type(mailboxes)(mongodb.mailboxes, wiring.options(), count)
    assert not counting.recount(BOB.account_id)
    assert mailboxes.undelivered(BOB.account_id) == 703
