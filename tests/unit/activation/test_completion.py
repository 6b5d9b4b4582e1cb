"""A completed activation is an event for webhooks, also when the process that completed it died."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib import progress
from chalicelib.activation import completion, queues, wiring, work, worker
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.stores import clients
from chalicelib.webhooks.queues import EVENT
from tests.unit.activation.conftest import Steps
from tests.unit.conftest import STAGE


def told() -> list[dict[str, Any]]:
    """Take the messages of the queue of events."""
    url = clients.aws("sqs").get_queue_url(QueueName=f"holdfast-{STAGE}-{EVENT.name}")["QueueUrl"]
    answer = clients.aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(each["Body"]) for each in answer.get("Messages", ())]


@pytest.mark.parametrize("emails", [("ann@example.org", "nobody"), ("nobody",)])
def test_a_completion_is_told_once_with_the_last_snapshot(steps: Steps, emails: tuple[str, ...]) -> None:
    # Given a lead with a mail, and one without
    steps.begin(*emails)
    work.turn()
    assert bool(told()) is (len(emails) == 1), "completed with the last mail"
    # When
    steps.begin(*emails, session_id="s-2")
    steps.run()
    # Then
    last = {each["id"]: each for each in told()}["s-2"]
    assert (last["kind"], last["name"]) == ("activation", "completed")
    assert json.loads(last["text"]) == progress.get("s-2").model_dump(mode="json")
    steps.run()
    assert told() == []


def test_a_cancelled_activation_is_told_by_the_next_worker(steps: Steps) -> None:
    steps.begin("ann@example.org")
    wiring.store().cancel("s-1")
    steps.run()
    (event,) = told()
    assert json.loads(event["text"])["msg"] == "cancelled"


def test_a_completion_of_a_dead_process_is_told_by_the_sweep(
    steps: Steps, mongodb: Any, mail: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a process that died right after the commit
    with monkeypatch.context() as patch:
        patch.setattr(completion, "tell", lambda: 0)
        steps.begin("nobody")
        steps.run()
    mongodb.activations.update_one({}, {"$set": {"outbox.0.heldUntil": datetime(2020, 1, 1, tzinfo=UTC)}})
    assert worker.next_due()
    before = mail.depth(queues.ACTIVATION).pending
    # When
    worker.sweep()
    # Then the sweep wakes a worker, who tells
    assert mail.depth(queues.ACTIVATION).pending == before + 1
    work.turn()
    assert [event["id"] for event in told()] == ["s-1"]
    assert worker.next_due() is None


def test_an_activation_is_kept_as_long_as_its_leads_after_its_event(steps: Steps, mongodb: Any) -> None:
    steps.begin("nobody")
    before = mongodb.activations.find_one()["purgeAt"]
    steps.run()
    assert mongodb.activations.find_one()["purgeAt"] == before
