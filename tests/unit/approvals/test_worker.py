"""Effects of a change: written with the change, dispatched at least once, done once."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from chalice.app import SQSEvent
from pymongo.database import Database

from chalicelib.approvals import outbox, worker
from chalicelib.approvals import wiring as approvals_wiring
from chalicelib.approvals.queues import APPROVAL, CALLBACK, PUSH, Task
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.queueing import wiring as queueing_wiring
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.runtime import accounts, ids, logs
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores import clients
from chalicelib.devices import wiring as devices_wiring
from tests.support.fcm_server import FcmServer, refusal
from tests.support.gateway import Context, event
from tests.unit.approvals.build import CALLER, PERSON, answer, answer_oldest, put, put_overdue
from tests.unit.devices.build import a_device
from tests.unit.devices.build import put as register

Mongo = Database[dict[str, Any]]

pytestmark = pytest.mark.usefixtures("dynamodb", "mail")


def test_each_approver_is_notified_once_per_device(approvals: ApprovalStore, google: FcmServer) -> None:
    # Given
    register(devices_wiring.store(), "phone", "tablet")
    register(devices_wiring.store(), "laptop", username="ben")
    request_id = put(approvals, approvers=["ben"], title="Pay 5 EUR?")
    outbox.dispatch(approvals.get(request_id))
    outbox.dispatch(approvals.get(request_id))
    # When
    _work(_received())
    # Then
    assert google.tokens() == ["laptop", "phone", "tablet"]
    message = google.messages[0]
    assert message["notification"]["title"] == "Pay 5 EUR?"
    assert message["data"]["requestId"] == request_id
    assert 50 < int(message["android"]["ttl"].removesuffix("s")) <= 60
    assert approvals.get(request_id).entries == ()


def test_a_settled_request_notifies_no_device(approvals: ApprovalStore, google: FcmServer) -> None:
    register(devices_wiring.store(), "phone")
    request_id = put(approvals)
    outbox.dispatch(approvals.get(request_id))
    answer(approvals, request_id, "approve", PERSON)
    assert _work(_received()) == []
    assert google.messages == []


def test_a_failed_notification_is_retried_for_its_device_alone(approvals: ApprovalStore, google: FcmServer) -> None:
    # Given
    google.answers["phone"] = [refusal(503, "UNAVAILABLE", "UNAVAILABLE"), refusal(200, "")]
    register(devices_wiring.store(), "phone", "tablet")
    outbox.dispatch(approvals.get(put(approvals)))
    batch = _received()
    # When
    failed = _work(batch)
    _work(batch)
    # Then
    assert failed == [record["messageId"] for record in batch]
    assert google.tokens() == ["phone", "phone", "tablet"]


def test_a_postponed_notification_is_not_sent_again_by_the_sweep(
    approvals: ApprovalStore, google: FcmServer, mongodb: Mongo
) -> None:
    # Given a push that FCM wants repeated in two hours
    google.answers["phone"] = [refusal(503, "UNAVAILABLE", "UNAVAILABLE", Retry_After="7200")]
    register(devices_wiring.store(), "phone")
    request_id = put(approvals, timeout_ms=86_400_000)
    _work([_record(request_id, "notify")])
    # When an hour and more has passed
    (entry,) = mongodb.approvals.find_one({"_id": request_id})["outbox"]  # type: ignore[index]
    earlier = {f"outbox.0.{name}": entry[name] - timedelta(minutes=62) for name in ("due", "heldUntil")}
    mongodb.approvals.update_one({"_id": request_id}, {"$set": earlier})
    # Then
    assert approvals_wiring.outbox().sweep() == 0
    assert worker.next_due() == entry["due"] - timedelta(minutes=62)
    assert entry["due"] - datetime.now(UTC) > timedelta(minutes=119)


def test_an_escalation_admits_and_notifies_the_person(
    approvals: ApprovalStore, google: FcmServer, mongodb: Mongo
) -> None:
    register(devices_wiring.store(), "pager", username="eve")
    request_id = put(approvals, escalate_to=[{"username": "eve", "afterMs": 1_000}])
    make_due(mongodb)
    _work([_record(request_id, "escalate-0")])
    assert approvals.get(request_id).approval.approvers == [PERSON, "eve"]
    _work(_received(PUSH))
    assert google.tokens() == ["pager"]


def test_a_push_carries_the_questions_data_and_the_answers_so_far(
    approvals: ApprovalStore, google: FcmServer, mongodb: Mongo
) -> None:
    # Given
    register(devices_wiring.store(), "pager", username="eve")
    escalation = [{"username": "eve", "afterMs": 1_000}]
    request_id = put(approvals, data={"amount": 5}, approvers=["ben"], required=2, escalate_to=escalation)
    answer_oldest(approvals, "ben", "approve", by="boss")
    make_due(mongodb)
    # When
    _work([_record(request_id, "escalate-0")])
    _work(_received(PUSH))
    # Then
    data = google.messages[0]["data"]
    assert json.loads(data["data"]) == {"amount": 5}
    assert json.loads(data["answers"]) == [{"username": "ben", "by": "boss", "action": "approve"}]


def test_an_escalation_reaches_no_later_user_of_the_name(
    approvals: ApprovalStore, google: FcmServer, mongodb: Mongo
) -> None:
    # Given an escalation to a user who was deleted, and whose name another account got
    escalation = [{"username": "eve", "afterMs": 1_000}]
    request_id = put(approvals, escalate_to=escalation)
    devices_wiring.store().put(Account("eve", ids.new_id()), "pager", a_device("pager"))
    make_due(mongodb)
    # When
    _work([_record(request_id, "escalate-0")])
    _work(_received(PUSH))
    # Then
    assert google.messages == []


def test_a_near_escalation_is_dispatched_with_its_delay(approvals: ApprovalStore) -> None:
    request_id = put(approvals, 7_200_000, timeoutMs=7_200_000, escalate_to=[{"username": "eve", "afterMs": 60_000}])
    outbox.dispatch(approvals.get(request_id))
    attributes = clients.aws("sqs").get_queue_attributes(
        QueueUrl=_url(APPROVAL), AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
    )["Attributes"]
    assert (attributes["ApproximateNumberOfMessages"], attributes["ApproximateNumberOfMessagesDelayed"]) == ("0", "1")


def test_a_far_escalation_is_left_to_the_sweep(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given
    request_id = put(approvals, 7_200_000, timeoutMs=7_200_000, escalate_to=[{"username": "eve", "afterMs": 3_600_000}])
    outbox.dispatch(approvals.get(request_id))
    _work(_received())
    assert [entry.effect for entry in approvals.get(request_id).entries] == ["escalate-0"]
    assert approvals_wiring.outbox().sweep() == 0
    # When
    mongodb.approvals.update_one({"_id": request_id}, {"$set": {"outbox.0.due": _past()}})
    # Then
    assert approvals_wiring.outbox().sweep() == 1
    _work(_received())
    assert "eve" in approvals.get(request_id).approval.approvers


def test_a_timeout_with_a_callback_is_recorded_at_its_moment(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given a request whose time is up, and the message that was sent for that moment
    hook = "https://hooks.example/x"
    early, late = put(approvals, callback_url=hook), put_overdue(approvals, mongodb.approvals, callback_url=hook)
    # When
    failed = _work([_record(early, "expire", "early"), _record(late, "expire", "late")])
    # Then the early message comes again, and the late request's callback is dispatched without a sweep
    assert failed == ["early"]
    assert mongodb.approvals.find_one({"_id": late})["status"] == "timeout"  # type: ignore[index]
    (message,) = _received(CALLBACK)
    assert json.loads(message["body"])["lane"] == f"{accounts.id_of_name(CALLER)}/hooks.example"


def test_the_next_due_moment_is_the_first_effect_or_timeout(approvals: ApprovalStore, mongodb: Mongo) -> None:
    assert worker.next_due() is None
    request_id = put(approvals, timeoutMs=60_000, escalate_to=[{"username": "eve", "afterMs": 30_000}])
    created = approvals.get(request_id).approval.created_at
    assert worker.next_due() == created
    _work([_record(request_id, "notify")])
    assert worker.next_due() == created + timedelta(seconds=30)
    make_due(mongodb)
    _work([_record(request_id, "escalate-0", "m-2")])
    _work(_received(PUSH))
    assert worker.next_due() == created + timedelta(seconds=60)
    answered = answer(approvals, request_id, "approve", PERSON)
    assert worker.next_due() == answered.resolved_at
    _work([_record(request_id, "tell", "m-3")])
    assert worker.next_due() is None


def test_a_queue_that_is_down_does_not_fail_the_change(
    approvals: ApprovalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = put(approvals)
    # Nothing listens at that address.
    monkeypatch.setattr(queueing_wiring.sender(), "_client", _unreachable())
    with logs.invocation("test") as line:
        outbox.dispatch(approvals.get(request_id))
    assert line.counts == {"effectsLeftToSweep": 1}
    assert [entry.effect for entry in approvals.get(request_id).entries] == ["notify"]


def test_a_message_about_a_purged_request_is_dead_lettered(mongodb: Mongo) -> None:
    assert _work([_record("01JD0000000000000000000000", "notify")]) == []
    url = _url(APPROVAL) + "-dead"
    (letter,) = clients.aws("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert letter["MessageAttributes"]["reason"]["StringValue"] == "The request is no longer kept."


def make_due(mongodb: Mongo) -> None:
    """Set the due moment of every outbox entry back."""
    mongodb.approvals.update_many({}, {"$set": {"outbox.$[].due": _past()}})


def _work(batch: list[dict[str, Any]]) -> list[str]:
    """Run the worker on *batch*; return the ids of failed messages."""
    context: Any = Context(50_000)
    answered = worker.work(SQSEvent({"Records": batch}, context))
    return [failure["itemIdentifier"] for failure in answered["batchItemFailures"]]


def _received(*queues: Queue) -> list[dict[str, Any]]:
    """Receive from *queues*; by default from both that the worker of tasks works off."""
    answers = [
        clients.aws("sqs").receive_message(QueueUrl=_url(queue), MaxNumberOfMessages=10)
        for queue in queues or (APPROVAL, PUSH)
    ]
    return [
        _sqs_record(message["Body"], message["MessageId"]) for found in answers for message in found.get("Messages", [])
    ]


def _record(request_id: str, effect: str, message_id: str = "m-1") -> dict[str, Any]:
    return _sqs_record(Task(request_id=request_id, effect=effect).model_dump_json(), message_id)


def _sqs_record(body: str, message_id: str) -> dict[str, Any]:
    record: dict[str, Any] = event("queue")["Records"][0]
    return {**record, "body": body, "messageId": message_id}


def _url(queue: Queue) -> str:
    return str(clients.aws("sqs").get_queue_url(QueueName=f"holdfast-unit-{queue.name}")["QueueUrl"])


def _past() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


def _unreachable() -> Any:
    return botocore.session.get_session().create_client(
        "sqs",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1),
    )
