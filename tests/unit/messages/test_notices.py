"""Receivers without a connection are notified by Firebase, once in a quiet minute."""

from typing import Any

import pytest
from chalice.app import SQSEvent
from pymongo.database import Database

from chalicelib.core.runtime import ids
from chalicelib.core.stores import clients
from chalicelib.devices import wiring as devices
from chalicelib.messages import send, wiring, worker
from chalicelib.messages.queues import NOTICE
from chalicelib.messages.store import MessageStore
from tests.support.fcm_server import FcmServer, refusal
from tests.support.gateway import Context, event
from tests.unit.devices.build import a_device
from tests.unit.devices.conftest import google, key, unconfigured
from tests.unit.messages.build import ANN, BOB, a_message
from tests.unit.messages.conftest import Pushes

Mongo = Database[dict[str, Any]]
__all__ = ["google", "key", "unconfigured"]

pytestmark = pytest.mark.usefixtures("dynamodb", "mail")


@pytest.fixture(autouse=True)
def phone(store: MessageStore) -> None:
    devices.store().put(BOB, "phone", a_device("token-1"))


def keep(**fields: Any) -> str:
    """Send a message to bob, and return its id."""
    return send.keep(ids.new_id(), ANN, BOB, a_message(**fields)).message_id


def work() -> list[Any]:
    """Work off the queue once; return the failed messages."""
    sqs = clients.aws("sqs")
    url = sqs.get_queue_url(QueueName=f"holdfast-unit-{NOTICE.name}")["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    record = event("queue")["Records"][0]
    records = [
        {**record, "body": each["Body"], "messageId": each["MessageId"], "receiptHandle": each["ReceiptHandle"]}
        for each in found
    ]
    context: Any = Context()
    failed: list[Any] = worker.notice(SQSEvent({"Records": records}, context))["batchItemFailures"]
    return failed


def later(mongodb: Mongo) -> None:
    """Let a quiet minute pass."""
    earlier = {name: {"$subtract": [f"${name}", 61_000]} for name in ("noticedAt", "noticeDueAt")}
    mongodb.mailboxes.update_many({"noticeDueAt": {"$exists": True}}, [{"$set": earlier}])


def test_a_receiver_without_a_connection_is_notified(google: FcmServer) -> None:
    message_id = keep()
    assert work() == []
    (message,) = google.messages
    assert message["notification"] == {"title": "Message from ann", "body": "Hello"}
    assert message["data"] == {"event": "chat_message", "messageId": message_id, "chatId": "chat"}
    # The time for which the message is kept: 30 days, of which Firebase takes 28.
    assert message["android"]["ttl"] == f"{28 * 24 * 3600}s"


def test_a_receiver_with_a_connection_is_not_notified(google: FcmServer, pushes: Pushes) -> None:
    pushes.open[BOB.account_id] = 1
    keep()
    work()
    assert google.messages == []


def test_messages_of_a_quiet_minute_are_one_notification(google: FcmServer) -> None:
    for _ in range(5):
        keep()
    work()
    assert len(google.messages) == 1


def test_the_sweep_notifies_of_messages_of_the_quiet_minute(google: FcmServer, mongodb: Mongo) -> None:
    for _ in range(2):
        keep()
    assert worker.next_due() is not None
    later(mongodb)
    for _ in range(2):
        worker.sweep()
    work()
    assert len(google.messages) == 1
    assert "noticeDueAt" not in (mongodb.mailboxes.find_one({"_id": BOB.account_id}) or {})


def test_a_notification_that_was_not_sent_is_swept(
    google: FcmServer, mongodb: Mongo, monkeypatch: pytest.MonkeyPatch, store: MessageStore
) -> None:
    # As if the process died after the message was stored.
    store.put(ids.new_id(), ANN, BOB, a_message())
    assert worker.sweep() == 0
    later(mongodb)
    mongodb.mailboxes.update_one({"_id": BOB.account_id}, [{"$set": {"noticeDueAt": "$$NOW"}}])
    worker.sweep()
    assert work() == []
    assert len(google.messages) == 1


def test_the_sweep_pushes_again_to_a_connection(google: FcmServer, mongodb: Mongo, pushes: Pushes) -> None:
    message_id = keep()
    keep()
    work()
    pushes.open[BOB.account_id] = 1
    later(mongodb)
    worker.sweep()
    ((_, pushed),) = pushes.events
    assert pushed["messageId"] == message_id
    assert len(google.messages) == 1


def test_an_acknowledged_mailbox_is_left_alone(google: FcmServer, store: MessageStore, mongodb: Mongo) -> None:
    sent = [keep() for _ in range(2)]
    store.acknowledge(BOB, sent, None)
    assert wiring.notices().next_due() is None
    # The queue's worker finds the message delivered.
    work()
    assert google.messages == []


def test_a_notification_that_firebase_delays_is_repeated(google: FcmServer) -> None:
    google.answers["token-1"] = [refusal(503, "UNAVAILABLE", "UNAVAILABLE"), refusal(200, "")]
    keep()
    assert len(work()) == 1
