"""Leases: a killed worker holds its delivery for one call, and its slot for one turn; an absent store costs nothing."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from chalice.app import SQSEvent

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import clock
from chalicelib.webhooks import wiring, worker
from chalicelib.webhooks.queues import EVENT, URGENT, WEBHOOK
from tests.support.gateway import Context
from tests.support.queue import record
from tests.support.receiver import Received, Receiver
from tests.unit.webhooks.build import add_webhook, happening


def wake(webhook_id: str, remaining_ms: int = 900_000) -> dict[str, Any]:
    """Run a worker that was woken for the lane."""
    context: Any = Context(remaining_ms)
    body = f'{{"schema":1,"causedBy":"","owner":"{webhook_id}","lane":"{webhook_id}"}}'
    return worker.send(SQSEvent({"Records": [{**record("x", "m-1"), "body": body}]}, context))


def test_leases_last_one_call_and_one_turn_only(stores: Any, receiver: Receiver) -> None:
    # Given an invocation with a lot of time
    held: list[tuple[timedelta, timedelta]] = []

    def look(_: Received) -> tuple[int, dict[str, str]]:
        delivery, lane = stores.deliveries.find_one({}), stores.webhook_lanes.find_one({"_id": webhook.id})
        began: datetime = delivery["attempts"][-1]["at"]
        held.append((delivery["due"] - began, lane["slots"][0]["until"] - began))
        return 204, {}

    receiver.answer = look
    webhook = add_webhook(receiver.url)
    wiring.deliveries().record(webhook.id, [happening(1)])
    # When
    wake(webhook.id)
    # Then the delivery is held for a call of 15 s, and the slot for a turn of 10 s beside
    ((delivery, slot),) = held
    assert delivery == timedelta(seconds=20)
    assert timedelta(seconds=29) < slot <= timedelta(seconds=30)


def test_leases_end_before_the_killed_workers_message_returns() -> None:
    longest_seconds = (wiring.server().call_ms + 15_000) / 1000
    assert all(longest_seconds <= queue.visibility_seconds <= 40 for queue in (WEBHOOK, URGENT))
    assert EVENT.visibility_seconds <= 40


def test_a_rate_that_cannot_be_asked_for_uses_up_no_attempt(
    stores: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("DynamoDB cannot be reached just now.")

    monkeypatch.setattr(wiring.server().rates, "take", away)
    webhook = add_webhook(receiver.url)
    wiring.deliveries().record(webhook.id, [happening(1)])
    # When
    answered = wake(webhook.id)
    # Then the message comes again, and the delivery is due soon
    assert len(answered["batchItemFailures"]) == 1
    delivery = stores.deliveries.find_one({})
    assert (receiver.received, delivery["tries"], delivery["attempts"]) == ([], 0, [])
    assert delivery["status"] == "due"
    assert delivery["due"] - datetime.fromisoformat(clock.stamp()) < timedelta(seconds=10)
