"""MongoDB removes a request a day after its end, and not before its effects are done and their dead letters gone."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chalice.app import SQSEvent
from pymongo.database import Database

from chalicelib.approvals import outbox, worker
from chalicelib.approvals import wiring as approvals_wiring
from chalicelib.approvals.errors import ApprovalNotFound
from chalicelib.approvals.queues import CALLBACK
from chalicelib.approvals.store import ApprovalStore
from chalicelib.approvals.upgrade import upgrade
from chalicelib.core.stores import clients
from tests.support.gateway import Context
from tests.support.queue import record
from tests.support.receiver import Receiver, receiving
from tests.unit.approvals.build import PERSON, ago, answer, put, tell

Mongo = Database[dict[str, Any]]

pytestmark = pytest.mark.usefixtures("dynamodb", "mail")

_TIMES = ("createdAt", "expiresAt", "resolvedAt", "readableUntil", "lettersUntil", "purgeAt")


@pytest.fixture
def receiver(options: Callable[..., None]) -> Iterator[Receiver]:
    options(EGRESS_ALLOW_LOOPBACK="true")
    with receiving() as found:
        yield found


def let_pass(mongodb: Mongo, **time: float) -> None:
    """Set every stored moment back by *time*, and remove what MongoDB would have removed."""
    by = round(timedelta(**time).total_seconds() * 1000)
    moments = {name: _earlier(f"${name}", by) for name in _TIMES}
    entry = {name: _earlier(f"$$this.{name}", by) for name in ("due", "heldUntil")}
    entries = {"$map": {"input": "$outbox", "in": {"$mergeObjects": ["$$this", entry]}}}
    mongodb.approvals.update_many({}, [{"$set": {**moments, "outbox": entries}}])
    mongodb.approvals.delete_many({"purgeAt": {"$lte": datetime.now(UTC)}})


def _earlier(moment: str, by_ms: int) -> dict[str, Any]:
    return {"$cond": [{"$eq": [{"$type": moment}, "date"]}, {"$subtract": [moment, by_ms]}, "$$REMOVE"]}


def deliver() -> None:
    """Deliver the waiting messages of the queue of callbacks, as Lambda does."""
    url = clients.aws("sqs").get_queue_url(QueueName=f"holdfast-unit-{CALLBACK.name}")["QueueUrl"]
    found = clients.aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    run([{**record("x", message["MessageId"]), "body": message["Body"]} for message in found])


def run(records: list[dict[str, Any]]) -> None:
    context: Any = Context(50_000)
    assert worker.call_back(SQSEvent({"Records": records}, context)) == {"batchItemFailures": []}


def dead_letters() -> list[tuple[str, str]]:
    url = clients.aws("sqs").get_queue_url(QueueName=f"holdfast-unit-{CALLBACK.dead_letters}")["QueueUrl"]
    found = clients.aws("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages", [])
    return [(each["Body"], each["MessageAttributes"]["reason"]["StringValue"]) for each in found]


def redrive(body: str, reason: str) -> None:
    sent_back = {"reason": {"stringValue": reason, "dataType": "String"}}
    run([{**record("x", "redriven"), "body": body, "messageAttributes": sent_back}])


def refused(approvals: ApprovalStore, receiver: Receiver) -> tuple[str, str]:
    """Answer a request whose callback the receiver refuses; return body and reason of the dead letter."""
    receiver.answer = lambda _: (404, {})
    request_id = put(approvals, callback_url=receiver.url)
    answer(approvals, request_id, "approve", PERSON)
    tell(request_id)
    outbox.dispatch(approvals.get(request_id))
    deliver()
    (letter,) = dead_letters()
    receiver.answer = lambda _: (204, {})
    receiver.received.clear()
    return letter


def test_a_timeout_is_called_back_after_an_outage_of_60_hours(
    approvals: ApprovalStore, mongodb: Mongo, receiver: Receiver
) -> None:
    # Given a stack that stops before the request times out
    request_id = put(approvals, timeout_ms=30_000, callback_url=receiver.url)
    let_pass(mongodb, hours=60)
    # When the stack works again
    worker.sweep()
    tell(request_id)
    deliver()
    # Then the callback is sent, although callers can no longer read the request
    assert [call.event["data"]["requestId"] for call in receiver.received] == [request_id]
    assert receiver.received[0].event["type"] == "approval.timeout"
    with pytest.raises(ApprovalNotFound):
        approvals.get(request_id)
    # And the request goes once nothing is left to do
    let_pass(mongodb, seconds=1)
    assert mongodb.approvals.count_documents({}) == 0


def test_an_answer_is_called_back_after_an_outage_of_60_hours(
    approvals: ApprovalStore, mongodb: Mongo, receiver: Receiver
) -> None:
    request_id = put(approvals, callback_url=receiver.url)
    answer(approvals, request_id, "approve", PERSON)
    let_pass(mongodb, hours=60)
    approvals_wiring.outbox().sweep()
    deliver()
    assert [call.event["data"]["requestId"] for call in receiver.received] == [request_id]


def test_a_dead_callback_is_sent_when_redriven_after_13_days(
    approvals: ApprovalStore, mongodb: Mongo, receiver: Receiver
) -> None:
    letter = refused(approvals, receiver)
    let_pass(mongodb, days=13, hours=23)
    redrive(*letter)
    request_id = json.loads(letter[0])["documentId"]
    assert [call.event["data"]["requestId"] for call in receiver.received] == [request_id]


def test_a_request_goes_a_day_after_its_dead_letters(
    approvals: ApprovalStore, mongodb: Mongo, receiver: Receiver
) -> None:
    refused(approvals, receiver)
    let_pass(mongodb, days=14, hours=23)
    assert mongodb.approvals.count_documents({}) == 1
    let_pass(mongodb, hours=2)
    assert mongodb.approvals.count_documents({}) == 0


def test_a_dead_callback_of_a_removed_request_is_dead_again(
    approvals: ApprovalStore, mongodb: Mongo, receiver: Receiver
) -> None:
    letter = refused(approvals, receiver)
    mongodb.approvals.delete_many({})
    redrive(*letter)
    assert receiver.received == []
    assert [reason for _, reason in dead_letters()] == ["The document of this entry is no longer kept."]


def test_a_called_back_request_goes_a_day_after_its_end(
    approvals: ApprovalStore, mongodb: Mongo, receiver: Receiver
) -> None:
    request_id = put(approvals, callback_url=receiver.url)
    answer(approvals, request_id, "approve", PERSON)
    tell(request_id)
    outbox.dispatch(approvals.get(request_id))
    deliver()
    let_pass(mongodb, hours=23)
    assert approvals.get(request_id).settled
    let_pass(mongodb, hours=2)
    assert mongodb.approvals.count_documents({}) == 0


def test_a_request_of_an_earlier_version_is_upgraded_to_stay(
    approvals: ApprovalStore, mongodb: Mongo, receiver: Receiver
) -> None:
    # Given a request as earlier versions stored it: `purgeAt` is also the end of reading
    request_id = put(approvals, callback_url=receiver.url)
    former = {"$unset": {"readableUntil": ""}, "$set": {"purgeAt": ago(hours=-25)}}
    mongodb.approvals.update_one({"_id": request_id}, former)
    assert approvals.get(request_id).approval.request_id == request_id
    # When
    assert [upgrade(mongodb.approvals), upgrade(mongodb.approvals)] == [1, 0]
    # Then
    let_pass(mongodb, hours=60)
    assert mongodb.approvals.count_documents({}) == 1


def test_an_upgrade_lets_requests_go_whose_last_entry_has_ended(approvals: ApprovalStore, mongodb: Mongo) -> None:
    request_id = put(approvals)
    # A process of an earlier version removes entries without a look at `purgeAt`.
    mongodb.approvals.update_one({"_id": request_id}, {"$set": {"outbox": []}})
    upgrade(mongodb.approvals)
    let_pass(mongodb, hours=25)
    assert mongodb.approvals.count_documents({}) == 0
