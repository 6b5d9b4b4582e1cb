"""Callbacks from the outbox to the receiver, by the worker of lanes."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from chalice.app import SQSEvent

from chalicelib.approvals import outbox, worker
from chalicelib.approvals.queues import CALLBACK, Task
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.stores import clients
from tests.support.gateway import Context
from tests.support.queue import record
from tests.support.receiver import Receiver, receiving
from tests.unit.approvals.build import PERSON, answer, put, tell

pytestmark = pytest.mark.usefixtures("dynamodb", "mail")


@pytest.fixture
def receiver(options: Callable[..., None]) -> Iterator[Receiver]:
    options(EGRESS_ALLOW_LOOPBACK="true")
    with receiving() as found:
        yield found


def settled(approvals: ApprovalStore, receiver: Receiver) -> str:
    """Answer a question with a callback, and dispatch what follows; return the question's id."""
    request_id = put(approvals, callback_url=receiver.url)
    answer(approvals, request_id, "approve", PERSON)
    tell(request_id)
    outbox.dispatch(approvals.get(request_id))
    return request_id


def deliver() -> list[str]:
    """Deliver the waiting messages of the queue; return the ids of messages to deliver again."""
    url = clients.aws("sqs").get_queue_url(QueueName=f"holdfast-unit-{CALLBACK.name}")["QueueUrl"]
    found = clients.aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    records = [{**record("x", message["MessageId"]), "body": message["Body"]} for message in found]
    context: Any = Context(50_000)
    answered = worker.call_back(SQSEvent({"Records": records}, context))
    return [failure["itemIdentifier"] for failure in answered["batchItemFailures"]]


def dead_letters() -> list[tuple[dict[str, Any], str]]:
    url = clients.aws("sqs").get_queue_url(QueueName=f"holdfast-unit-{CALLBACK.dead_letters}")["QueueUrl"]
    found = clients.aws("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages", [])
    return [(json.loads(each["Body"]), each["MessageAttributes"]["reason"]["StringValue"]) for each in found]


def test_an_outcome_is_sent_once_and_its_entry_ends(approvals: ApprovalStore, receiver: Receiver) -> None:
    request_id = settled(approvals, receiver)
    assert worker.load() == (1, 0)
    assert deliver() == []
    (call,) = receiver.received
    assert (call.event["type"], call.event["data"]["requestId"]) == ("approval.resolved", request_id)
    assert (worker.load(), approvals.get(request_id).entries) == ((0, 0), ())


@pytest.mark.parametrize(("status", "entries", "letters"), [(404, 0, 1), (503, 1, 0)])
def test_an_outcome_that_is_refused_is_retried_or_dead_lettered(
    approvals: ApprovalStore, receiver: Receiver, status: int, entries: int, letters: int
) -> None:
    receiver.answer = lambda _: (status, {})
    request_id = settled(approvals, receiver)
    assert deliver() == []
    assert (len(approvals.get(request_id).entries), len(dead_letters())) == (entries, letters)


def test_an_outcome_waits_for_as_long_as_its_receiver_asks(
    approvals: ApprovalStore, receiver: Receiver, mongodb: Any
) -> None:
    receiver.answer = lambda _: (503, {"Retry-After": "14400"})
    settled(approvals, receiver)
    deliver()
    (entry,) = mongodb.approvals.find_one()["outbox"]
    assert 14_000 < (entry["due"] - datetime.now(UTC)).total_seconds() <= 14_400


def test_an_address_that_is_refused_by_now_is_dead_lettered(
    approvals: ApprovalStore, receiver: Receiver, options: Callable[..., None]
) -> None:
    settled(approvals, receiver)
    options(EGRESS_ALLOW_LOOPBACK="false")
    assert deliver() == []
    assert (len(dead_letters()), receiver.received) == (1, [])


def test_an_outcome_of_a_purged_request_is_dead_lettered(
    approvals: ApprovalStore, receiver: Receiver, mongodb: Any
) -> None:
    request_id = settled(approvals, receiver)
    mongodb.approvals.update_one({"_id": request_id}, {"$currentDate": {"purgeAt": True}})
    assert deliver() == []
    ((letter, reason),) = dead_letters()
    assert (letter["documentId"], reason) == (request_id, "The request is no longer kept.")


def test_a_message_from_before_lanes_is_still_sent(approvals: ApprovalStore, receiver: Receiver) -> None:
    request_id = settled(approvals, receiver)
    body = Task(request_id=request_id, effect="callback").model_dump_json()
    context: Any = Context(50_000)
    worker.work(SQSEvent({"Records": [{**record("x", "m-1"), "body": body}]}, context))
    assert [call.event["data"]["requestId"] for call in receiver.received] == [request_id]


def test_pushes_have_a_worker_of_their_own(approvals: ApprovalStore) -> None:
    body = Task(request_id=put(approvals), effect="notify").model_dump_json()
    context: Any = Context(50_000)
    answered = worker.notify(SQSEvent({"Records": [{**record("x", "m-1"), "body": body}]}, context))
    assert answered == {"batchItemFailures": []}
