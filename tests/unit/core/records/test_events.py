"""Each version is published under one event id to the subscribers of its kind."""

import json
from dataclasses import replace

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records.events import Event, Subscription, publish
from chalicelib.core.records.models import Record
from chalicelib.core.stores import clients
from tests.unit.conftest import STAGE
from tests.unit.core.records.build import FOLLOWERS, NOTE, a_record, a_tombstone, take_messages
from tests.unit.core.records.conftest import take_events


@pytest.mark.parametrize(
    ("record", "operation"),
    [
        (a_record(version=1), "created"),
        (a_record(version=2), "updated"),
        (a_tombstone(version=3), "deleted"),
        (a_record(version=4, operation="anew", made="anew"), "created"),
    ],
    ids=["created", "updated", "deleted", "made anew"],
)
def test_event_names_its_operation_and_carries_no_document(
    followers: Subscription, mail: Sender, record: Record, operation: str
) -> None:
    publish([record], [followers], mail)
    (body,) = take_messages(FOLLOWERS)
    assert json.loads(body) == {
        "schema": 1,
        "causedBy": record.operation,
        "kind": "note",
        "id": "n-1",
        "recordVersion": record.version,
        "operation": operation,
        "at": record.updated_at,
        "createdAt": record.created_at,
        "createdBy": record.created_by,
        "hops": 0,
    }
    assert Event.model_validate_json(body).work_id == f"note/n-1@{record.version}"


def test_event_published_again_has_the_same_id(followers: Subscription, mail: Sender) -> None:
    for _ in range(2):
        publish([a_record()], [followers], mail)
    assert [event.work_id for event in take_events()] == ["note/n-1@1"] * 2


def test_subscriber_gets_events_of_its_kinds_alone(followers: Subscription, mail: Sender) -> None:
    # Given a subscriber to every kind
    everything = replace(FOLLOWERS, name="everything")
    clients.aws("sqs").create_queue(QueueName=f"holdfast-{STAGE}-everything")
    # When
    publish([a_record(), a_record(kind="memo")], [followers, Subscription(everything)], mail)
    # Then
    assert [event.kind for event in take_events()] == ["note"]
    assert sorted(json.loads(body)["kind"] for body in take_messages(everything)) == ["memo", "note"]


def test_many_events_are_published_in_one_call(followers: Subscription, mail: Sender) -> None:
    publish([a_record(version=version) for version in range(1, 26)], [followers], mail)
    assert sorted(event.record_version for event in take_events()) == list(range(1, 26))


def test_event_refused_by_its_queue_is_unavailable(
    followers: Subscription, mail: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = {"Failed": [{"Id": "0", "SenderFault": False, "Code": "InternalError"}]}
    monkeypatch.setattr(clients.aws("sqs"), "send_message_batch", lambda **_: refusal)
    with pytest.raises(Unavailable):
        publish([a_record()], [followers], mail)


def test_event_without_subscriptions_is_sent_nowhere() -> None:
    """Subscriptions come from the caller alone; `publish` knows no subscriber by name."""
    publish([a_record(kind=NOTE.name)], [], Sender(None, "nowhere/"))
