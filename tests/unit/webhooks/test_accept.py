"""Events become deliveries: matched, with the public JSON of their version, once for each webhook."""

import json
from typing import Any

import pytest
from chalice.app import SQSEvent

from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records import wiring as records
from chalicelib.core.records.events import Event
from chalicelib.core.records.models import Change, Record
from chalicelib.core.stores import clients
from chalicelib.webhooks import News, wiring, worker
from chalicelib.webhooks.queues import EVENT, WEBHOOK
from tests.support.gateway import Context
from tests.support.queue import record
from tests.unit.conftest import STAGE
from tests.unit.webhooks.build import add_webhook

APPLICATION = {
    "applicantName": "Ada",
    "email": "ada@example.org",
    "amountMinor": 5,
    "currency": "EUR",
    "termMonths": 1,
    "incomeMinor": None,
    "status": "draft",
}
BY = {"by": "ann", "operation": "op-1"}


def commit(*statuses: str, application_id: str = "A-1") -> list[Record]:
    """Make an application and move it through *statuses*; return every version. Nothing is projected yet."""
    versions = [records.store().create("application", application_id, APPLICATION, **BY)]
    for place, status in enumerate(statuses, start=1):
        change = Change(application_id, place, {"status": status})
        versions.append(records.store().commit("application", change, by="ben", operation=f"op-{place + 1}"))
    return versions


def project(versions: list[Record]) -> None:
    """Publish the versions and write their history, as the stream does."""
    assert records.projector().project_records(versions) == []


def waiting(queue: str = EVENT.name) -> list[dict[str, Any]]:
    """Take the messages of *queue*."""
    client, found = clients.aws("sqs"), []
    url = client.get_queue_url(QueueName=f"holdfast-{STAGE}-{queue}")["QueueUrl"]
    while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += messages
        for message in messages:
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [{**record("x", each["MessageId"]), "body": each["Body"]} for each in found]


def accept(batch: list[dict[str, Any]]) -> list[str]:
    """Run the worker on *batch*; return the ids of messages to come again."""
    context: Any = Context(50_000)
    answered = worker.accept(SQSEvent({"Records": batch}, context))
    return [failure["itemIdentifier"] for failure in answered["batchItemFailures"]]


def deliveries(stores: Any, webhook: Record) -> list[tuple[str, Any]]:
    """Return type and data of each delivery to *webhook*, in order."""
    found = stores.deliveries.find({"webhook": webhook.id}).sort("sequence")
    bodies = [json.loads(each["body"]) for each in found]
    return [(body["type"], body["data"]) for body in bodies]


def test_each_version_is_told_once_with_its_own_data(stores: Any) -> None:
    # Given
    everything, moves = add_webhook(), add_webhook(events=["application.approved"])
    add_webhook(events=["document.*"])
    project(commit("submitted", "approved"))
    batch = waiting()
    # When
    assert accept(batch) == []
    assert accept([{**each, "messageId": f"copy of {each['messageId']}"} for each in batch]) == []
    # Then
    told = [
        (type_, data["version"], data["status"], data.get("previous")) for type_, data in deliveries(stores, everything)
    ]
    assert told == [
        ("application.created", 1, "draft", None),
        ("application.updated", 2, "submitted", {"status": "draft"}),
        ("application.submitted", 2, "submitted", {"status": "draft"}),
        ("application.updated", 3, "approved", {"status": "submitted"}),
        ("application.approved", 3, "approved", {"status": "submitted"}),
    ]
    ((type_, data),) = deliveries(stores, moves)
    assert type_ == "application.approved"
    assert (data["applicationId"], data["createdBy"], data["updatedBy"]) == ("A-1", "ann", "ben")
    assert stores.deliveries.count_documents({}) == 6


def test_a_deleted_record_is_told_with_its_last_data(stores: Any) -> None:
    webhook = add_webhook(events=["application.deleted"])
    versions = commit("submitted")
    versions.append(records.store().remove("application", "A-1", 2, by="ann", operation="op-9"))
    project(versions)
    accept(waiting())
    ((_, data),) = deliveries(stores, webhook)
    assert (data["version"], data["status"], data["updatedBy"]) == (3, "submitted", "ann")


def test_an_event_waits_for_its_version_in_history(stores: Any) -> None:
    # Given an event whose version the projector has not written yet
    webhook = add_webhook()
    (version,) = commit()
    event = Event(kind="application", id="A-1", record_version=1, operation="created", at=version.updated_at)
    message = {**record("x", "m-1"), "body": event.model_dump_json()}
    # When, Then
    assert accept([message]) == ["m-1"]
    assert deliveries(stores, webhook) == []
    records.history().add([version])
    assert accept([message]) == []
    assert [type_ for type_, _ in deliveries(stores, webhook)] == ["application.created"]


def test_a_lost_version_is_told_without_its_data(stores: Any) -> None:
    webhook = add_webhook()
    versions = commit("submitted")
    records.history().add_lost(versions[1], 2)
    event = Event(kind="application", id="A-1", record_version=2, operation="updated")
    accept([{**record("x", "m-1"), "body": event.model_dump_json()}])
    assert deliveries(stores, webhook) == [("application.updated", {"id": "A-1", "version": 2, "lost": True})]


def test_a_batch_makes_the_deliveries_of_all_webhooks_together(stores: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = add_webhook(), add_webhook()
    project(commit("submitted", "approved"))
    recorded: list[dict[str, int]] = []
    real = wiring.deliveries().recorder.record

    def note(wanted: Any) -> dict[str, int]:
        recorded.append(real(wanted))
        return recorded[-1]

    monkeypatch.setattr(wiring.deliveries().recorder, "record", note)
    accept(waiting())
    assert recorded == [{first.id: 5, second.id: 5}]


def test_a_store_that_is_down_uses_up_no_attempt(stores: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    webhook = add_webhook()
    project(commit())
    batch = waiting()

    def fail(_: Any) -> dict[str, int]:
        raise Unavailable("MongoDB cannot be reached just now.")

    # When it is down for more attempts than the queue has
    with monkeypatch.context() as patch:
        patch.setattr(wiring.deliveries().recorder, "record", fail)
        for _ in range(EVENT.attempts + 3):
            assert len(accept(batch)) == 1
    # Then
    assert accept(batch) == []
    assert len(deliveries(stores, webhook)) == 1
    assert waiting(EVENT.dead_letters) == []


def test_lanes_are_woken_as_often_as_workers_may_serve_them(stores: Any) -> None:
    add_webhook(maxInFlight=3)
    add_webhook(maxInFlight=50)
    add_webhook(paused=True)
    add_webhook(enabled=False)
    project(commit("submitted", "approved"))
    waiting(WEBHOOK.name)
    accept(waiting())
    # Three, and a quarter of the twenty workers.
    assert len(waiting(WEBHOOK.name)) == 3 + 5


def test_a_disabled_webhook_records_and_sends_nothing(stores: Any) -> None:
    webhook = add_webhook(enabled=False)
    project(commit())
    accept(waiting())
    (found,) = stores.deliveries.find({"webhook": webhook.id})
    assert (found["status"], found["reason"], found["sequence"]) == ("dead", "disabled", 1)


def test_other_webhooks_hear_that_one_was_disabled(stores: Any) -> None:
    first, second = add_webhook(), add_webhook()
    waiting()
    wiring.store().disable(first.id, "Nothing but failures for 5 days.")
    versions = [records.store().get_including_deleted("webhook", first.id)]
    assert versions[0]
    # Both versions: the first is told to nobody.
    records.history().add([first, versions[0]])
    project([first, versions[0]])
    accept(waiting())
    ((type_, data),) = deliveries(stores, second)
    assert (type_, data["webhookId"]) == ("webhook.disabled", first.id)
    assert "generation" not in json.dumps(data)


def test_a_document_is_told_as_its_event_carries_it(stores: Any, mail: Sender) -> None:
    webhook = add_webhook(events=["approval.*"])
    news = News(
        kind="approval",
        id="01JD0000000000000000000000",
        record_version=1,
        operation="updated",
        name="resolved",
        text='{"requestId":"01JD0000000000000000000000"}',
        at="2026-01-01T00:00:00.000Z",
        hops=2,
    )
    for _ in range(2):
        mail.send(EVENT, news)
    accept(waiting())
    assert deliveries(stores, webhook) == [("approval.resolved", {"requestId": "01JD0000000000000000000000"})]
    assert stores.deliveries.find_one({})["hops"] == 3
