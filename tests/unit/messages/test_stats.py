"""Figures of the buffer, the daily report, and the hourly count of the sweep."""

from typing import Any

from pymongo.database import Database

from chalicelib.messages import wiring, worker
from chalicelib.messages.store import ORDER, MessageStore
from infra.local.processes.mongod import Mongod
from tests.support.concurrency import race
from tests.support.mongodb_commands import recording_commands
from tests.unit.conftest import Printed
from tests.unit.messages.build import ANN, BOB, send
from tests.unit.messages.test_plans import leaves

Mongo = Database[dict[str, Any]]
_PAST = [{"$set": {"purgeAt": {"$subtract": ["$$NOW", 1]}}}]


def test_figures_count_kept_messages_by_receiver(store: MessageStore, mongodb: Mongo) -> None:
    sent = [send(store).message_id for _ in range(4)]
    store.acknowledge(BOB, sent[:1], None)
    mongodb.messages.update_one({"_id": sent[1]}, _PAST)
    send(store, sender=BOB, receiver=ANN)
    found = wiring.stats().buffer()
    assert (found.undelivered, found.delivered) == (3, 1)
    assert [(each.username, each.undelivered) for each in found.by_receiver] == [("bob", 2), ("ann", 1)]
    oldest = mongodb.messages.find_one({"_id": sent[2]})
    assert oldest
    assert found.oldest_undelivered_at == oldest["createdAt"]


def test_figures_of_an_empty_buffer_are_zero(store: MessageStore) -> None:
    found = wiring.stats().buffer()
    assert (found.undelivered, found.delivered, found.oldest_undelivered_at, found.by_receiver) == (0, 0, None, [])


def test_figures_name_twenty_receivers(store: MessageStore) -> None:
    for number in range(22):
        send(store, receiver=BOB._replace(account_id=f"account-{number}", username=f"user-{number}"))
    assert len(wiring.stats().buffer().by_receiver) == 20


def test_figures_read_the_index_alone(store: MessageStore, mongod: Mongod) -> None:
    for _ in range(20):
        send(store)
    with recording_commands(mongod.uri) as (client, sent):
        database = client.get_default_database()
        type(wiring.stats())(database.messages, database.mailboxes).buffer()
        known = ("aggregate", "pipeline", "cursor", "hint")
        bare = {name: value for name, value in sent.commands[0].items() if name in known}
        # The last stage looks up the names of twenty mailboxes.
        bare["pipeline"] = bare["pipeline"][:-1]
        found = list(leaves(database.command("explain", bare, verbosity="executionStats")))
    assert {value for name, value in found if name == "indexName"} == {ORDER}
    assert {value for name, value in found if name == "totalDocsExamined"} == {0}


def test_a_report_is_made_once_a_day(store: MessageStore, mongodb: Mongo, printed: Printed) -> None:
    sent = [send(store).message_id for _ in range(4)]
    store.acknowledge(BOB, sent[:3], None)
    worker.sweep()
    race([worker.report] * 4)
    (line,) = [line for line in printed.lines() if line["kind"] == "messages"]
    assert (line["messagesUndelivered"], line["messagesSentInWeek"], line["messagesSuccessPercent"]) == (1, 4, 75)
    assert line["messagesStorageBytes"] > 0
    mongodb.mailboxes.update_one({"_id": "report"}, [{"$set": {"reportAt": "$$NOW"}}])
    race([worker.report] * 4)
    assert len([line for line in printed.lines() if line["kind"] == "messages"]) == 2


def test_the_sweep_counts_a_mailbox_anew_each_hour(store: MessageStore, mongodb: Mongo) -> None:
    send(store)
    assert worker.sweep() == 0
    mongodb.mailboxes.update_one({"_id": BOB.account_id}, [{"$set": {"undelivered": 700, "recountAt": "$$NOW"}}])
    assert worker.sweep() == 1
    assert wiring.mailboxes().undelivered(BOB.account_id) == 1
