"""While MongoDB is down: messages of callers with API keys wait in the queue, and others are refused."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from chalice.app import SQSEvent
from pymongo import MongoClient

from chalicelib.core.queueing.dead_letters import REASON
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores import clients
from chalicelib.core.web.roles import Role
from chalicelib.messages import wiring, worker
from chalicelib.messages.mailbox import Mailboxes
from chalicelib.messages.queues import POST
from chalicelib.messages.settings import MessageSettings
from chalicelib.messages.store import MessageStore
from chalicelib.users import wiring as users_wiring
from tests.support.gateway import Context, ask, event
from tests.support.users import signed_in
from tests.unit.messages.build import send, undelivered

NEW = {"to": "bob", "chatId": "chat", "message": "Hello"}

pytestmark = pytest.mark.usefixtures("users", "mail")


@pytest.fixture
def key(store: MessageStore) -> str:
    """A service's API key; bob is a user."""
    signed_in("bob", Role.USER)
    signed_in("svc", Role.SERVICE)
    made = ask("POST", "/api/users/svc/keys", {"name": "k"}, token=signed_in("boss", Role.ADMIN))
    return str(made.json["key"])


Down = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def down() -> Iterator[Down]:
    """Let the store of messages lose its database inside a block."""

    @contextmanager
    def lose() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wiring, "store", lambda: store)
            yield

    with MongoClient[dict[str, Any]]("mongodb://127.0.0.1:9/", serverSelectionTimeoutMS=10) as nobody:
        mailboxes = Mailboxes(nobody.lost.mailboxes, MessageSettings(), lambda _: 0)
        store = MessageStore(nobody.lost.messages, MessageSettings(), mailboxes)
        yield lose


def bob() -> Account:
    return Account("bob", users_wiring.store().accounts(["bob"])["bob"])


def work() -> list[Any]:
    """Work off the queue once; return the failed messages."""
    sqs = clients.aws("sqs")
    url = sqs.get_queue_url(QueueName=f"holdfast-unit-{POST.name}")["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    record = event("queue")["Records"][0]
    records = [
        {**record, "body": each["Body"], "messageId": each["MessageId"], "receiptHandle": each["ReceiptHandle"]}
        for each in found
    ]
    context: Any = Context()
    failed: list[Any] = worker.post(SQSEvent({"Records": records}, context))["batchItemFailures"]
    return failed


def test_a_message_with_an_api_key_waits_and_is_stored_after(key: str, store: MessageStore, down: Down) -> None:
    with down():
        answer = ask("POST", "/api/messages", NEW, token=key)
    assert (answer.status, answer.json["status"]) == (202, "queued")
    assert work() == []
    (found,) = store.page(bob().account_id, 10, None)
    assert (found[1].message_id, found[1].sender) == (answer.json["messageId"], "svc")


def test_a_message_of_a_session_is_refused(key: str, down: Down) -> None:
    ann = signed_in("ann", Role.USER)
    with down():
        answer = ask("POST", "/api/messages", NEW, token=ann)
        batch = ask("POST", "/api/messages/batch", {"messages": [NEW]}, token=ann)
    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert batch.status == 503


def test_a_batch_with_an_api_key_is_queued(key: str, store: MessageStore, down: Down) -> None:
    with down():
        batch = [NEW | {"clientMessageId": "c"}] * 2
        results = ask("POST", "/api/messages/batch", {"messages": batch}, token=key).json["results"]
    assert [result["status"] for result in results] == ["queued"] * 2
    assert work() == []
    assert undelivered(store, bob()) == ["Hello"]


def test_a_worker_without_mongodb_leaves_the_message(key: str, store: MessageStore, down: Down) -> None:
    with down():
        ask("POST", "/api/messages", NEW, token=key)
        assert len(work()) == 1


def test_a_message_to_a_full_mailbox_is_dead_lettered(
    key: str,
    store: MessageStore,
    mongodb: Any,
    down: Down,
) -> None:
    send(store, receiver=bob())
    mongodb.mailboxes.update_one({}, [{"$set": {"undelivered": 10_000, "countedAt": "$$NOW"}}])
    with down():
        ask("POST", "/api/messages", NEW, token=key)
    assert work() == []
    sqs = clients.aws("sqs")
    url = sqs.get_queue_url(QueueName=f"holdfast-unit-{POST.dead_letters}")["QueueUrl"]
    (letter,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert "10,000 undelivered" in letter["MessageAttributes"][REASON]["StringValue"]
