"""Lanes: signed calls, by rate and slot, and what the answers lead to."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chalice.app import SQSEvent

from chalicelib.core.egress import signatures
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.queueing.slots import Lane
from chalicelib.core.records.models import Record
from chalicelib.webhooks import secrets, wiring, worker
from chalicelib.webhooks.models import Status
from chalicelib.webhooks.queues import WEBHOOK
from tests.support.gateway import Context
from tests.support.queue import record
from tests.support.receiver import Received, Receiver
from tests.unit.webhooks.build import add_webhook, happening


def wake(webhook: Record, remaining_ms: int = 50_000) -> None:
    """Run a worker that was woken for the lane."""
    context: Any = Context(remaining_ms)
    body = f'{{"schema":1,"causedBy":"","owner":"{webhook.id}","lane":"{webhook.id}"}}'
    answered = worker.send(SQSEvent({"Records": [{**record("x", "m-1"), "body": body}]}, context))
    assert answered == {"batchItemFailures": []}


def woken() -> int:
    """Return how many messages wait in the lanes' queue, delayed ones included."""
    depth = queueing.sender().depth(WEBHOOK)
    return depth.pending + depth.processing


def statuses(stores: Any) -> list[tuple[str, str | None]]:
    found = stores.deliveries.find({}).sort("sequence")
    return [(each["status"], each.get("reason")) for each in found]


def make_all_due(stores: Any) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    stores.deliveries.update_many({"due": {"$exists": True}}, {"$set": {"due": past}})


def deliver(webhook: Record, number: int = 1, **fields: Any) -> None:
    wiring.deliveries().record(webhook.id, [happening(each, **fields) for each in range(1, number + 1)])


def test_a_delivery_is_signed_and_sent_once(stores: Any, receiver: Receiver) -> None:
    # Given
    webhook = add_webhook(f"{receiver.url}/hook")
    deliver(webhook, caused_by="req-1", hops=2)
    # When
    wake(webhook)
    wake(webhook)
    # Then
    (call,) = receiver.received
    assert call.path == "/hook"
    secret = secrets.secret_of(webhook.id, 1)
    signatures.verify([secret], call.body, call.headers, datetime.now(UTC))
    assert call.headers["webhook-id"] == call.event["id"]
    assert (call.headers["x-request-id"], call.headers["holdfast-hops"]) == ("req-1", "3")
    assert (statuses(stores), woken()) == ([("delivered", None)], 0)


def test_one_turn_sends_all_that_is_due_in_order(stores: Any, receiver: Receiver) -> None:
    webhook = add_webhook(receiver.url)
    deliver(webhook, 20)
    wake(webhook)
    assert [call.event["sequence"] for call in receiver.received] == list(range(1, 21))


def test_for_a_day_both_secrets_sign_a_delivery(stores: Any, receiver: Receiver) -> None:
    # Given
    webhook = add_webhook(receiver.url)
    rotated = wiring.store().rotate(webhook.id, by="ann", operation="op-1", now=datetime.now(UTC))
    again = wiring.store().rotate(webhook.id, by="ann", operation="op-1", now=datetime.now(UTC))
    assert rotated.doc["generation"] == again.doc["generation"] == 2
    deliver(webhook)
    # When
    wake(webhook)
    # Then
    (call,) = receiver.received
    for generation in (1, 2):
        secret = secrets.secret_of(webhook.id, generation)
        signatures.verify([secret], call.body, call.headers, datetime.now(UTC))
    later = datetime.now(UTC) + timedelta(hours=24, seconds=1)
    assert secrets.signing(webhook.id, rotated.doc, later, timedelta(hours=24)) == [secrets.secret_of(webhook.id, 2)]


def test_the_rate_bounds_calls_and_uses_up_no_attempt(stores: Any, receiver: Receiver) -> None:
    # Given a rate of three calls a minute
    webhook = add_webhook(receiver.url, rateLimitPerMinute=3)
    deliver(webhook, 5)
    # When
    wake(webhook)
    # Then
    assert len(receiver.received) == 3
    waiting = stores.deliveries.find({"status": "due"})
    assert [(each["tries"], each["attempts"]) for each in waiting] == [(0, [])] * 2
    assert woken() == 1


def test_of_workers_whom_the_rate_holds_up_one_wakes_the_lane(stores: Any, receiver: Receiver) -> None:
    webhook = add_webhook(receiver.url, rateLimitPerMinute=1)
    deliver(webhook, 20)
    wake(webhook)
    assert (len(receiver.received), woken()) == (1, 1)
    # A worker that holds a slot meanwhile
    lane = Lane(webhook.id, webhook.id)
    slot = wiring.slots().take(lane, 60_000)
    assert slot
    wake(webhook)
    assert woken() == 1
    wiring.slots().release(slot)
    wake(webhook)
    assert (len(receiver.received), woken()) == (1, 2)


def test_a_paused_webhook_waits_until_it_is_resumed(stores: Any, receiver: Receiver) -> None:
    webhook = add_webhook(receiver.url, paused=True)
    deliver(webhook)
    wake(webhook)
    assert (receiver.received, statuses(stores)) == ([], [("due", None)])
    wake(wiring.store().change(webhook.id, {"paused": False}, by="ann", operation="op-1"))
    assert statuses(stores) == [("delivered", None)]


def test_410_disables_the_webhook_and_ends_what_waits(stores: Any, receiver: Receiver) -> None:
    receiver.answer = lambda _: (410, {})
    webhook = add_webhook(receiver.url)
    deliver(webhook, 3)
    wake(webhook)
    assert statuses(stores) == [("dead", "refused"), ("dead", "disabled"), ("dead", "disabled")]
    found = wiring.store().get(webhook.id).doc
    assert (found["enabled"], found["disabledReason"]) == (False, "The receiver answered 410 Gone.")
    # What happens from now on is not sent.
    deliver(webhook, 4)
    wake(webhook)
    assert (len(receiver.received), statuses(stores)[3]) == (1, ("dead", "disabled"))


def test_five_failures_close_the_lane_for_a_probe(stores: Any, receiver: Receiver) -> None:
    # Given
    receiver.answer = lambda _: (503, {})
    webhook = add_webhook(receiver.url)
    deliver(webhook, 8)
    # When
    wake(webhook)
    # Then
    assert (len(receiver.received), woken()) == (5, 1)
    wake(webhook)
    assert len(receiver.received) == 5
    # And the oldest probes, alone, when the lane opens
    make_all_due(stores)
    open_lane(stores)
    receiver.answer = lambda _: (204, {})
    wake(webhook)
    assert receiver.received[5].event["sequence"] == 1
    assert statuses(stores) == [("delivered", None)] * 8


def open_lane(stores: Any) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    stores.webhook_lanes.update_many({}, {"$set": {"breakers.$[].opensAt": past}})


def test_a_closed_lane_admits_one_probe_at_a_time(stores: Any, receiver: Receiver) -> None:
    receiver.answer = lambda _: (503, {})
    webhook = add_webhook(receiver.url)
    deliver(webhook, 20)
    wake(webhook)
    make_all_due(stores)
    open_lane(stores)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: wake(webhook), range(4)))
    assert len(receiver.received) == 6


def test_a_delivery_that_kills_its_workers_is_given_up(stores: Any, receiver: Receiver) -> None:
    webhook = add_webhook(receiver.url)
    deliver(webhook)
    for _ in range(8):
        assert wiring.deliveries().claim(webhook.id, 0)
    wake(webhook)
    assert (receiver.received, statuses(stores)) == ([], [("dead", "lost")])


def test_deliveries_of_a_deleted_webhook_end(stores: Any, receiver: Receiver) -> None:
    webhook = add_webhook(receiver.url)
    deliver(webhook)
    wiring.store().remove(webhook.id, by="ann", operation="op-1")
    wake(webhook)
    assert (receiver.received, statuses(stores)) == ([], [("dead", "deleted")])


@pytest.mark.parametrize("status", [200, 400])
def test_an_attempt_keeps_the_answer_and_its_latency(stores: Any, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _: (status, {})
    webhook = add_webhook(receiver.url)
    deliver(webhook)
    wake(webhook)
    (attempt,) = stores.deliveries.find_one({})["attempts"]
    assert (attempt["status"], attempt["error"], attempt["trigger"]) == (status, None, "schedule")
    assert 0 <= attempt["latencyMs"] < 15_000


def test_a_call_without_an_answer_keeps_a_word(stores: Any, receiver: Receiver) -> None:
    webhook = add_webhook("http://127.0.0.1:9/")
    deliver(webhook)
    wake(webhook)
    (attempt,) = stores.deliveries.find_one({})["attempts"]
    assert (attempt["status"], attempt["error"]) == (None, "refused")


def test_too_little_time_leaves_the_message_to_another(stores: Any, receiver: Receiver) -> None:
    webhook = add_webhook(receiver.url)
    deliver(webhook)
    context: Any = Context(5_000)
    body = f'{{"schema":1,"causedBy":"","owner":"{webhook.id}","lane":"{webhook.id}"}}'
    answered = worker.send(SQSEvent({"Records": [{**record("x", "m-1"), "body": body}]}, context))
    assert (len(answered["batchItemFailures"]), receiver.received) == (1, [])


def test_a_slow_store_does_not_call_the_receiver_twice(
    stores: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MongoDB is away for a moment when the call ends: the end is recorded after."""
    finish, lost = wiring.deliveries().finish, iter([True, True])

    def fail_first(*given: Any) -> None:
        if next(lost, False):
            raise Unavailable("MongoDB cannot be reached just now.")
        finish(*given)

    monkeypatch.setattr(wiring.deliveries(), "finish", fail_first)
    webhook = add_webhook(receiver.url)
    deliver(webhook)
    wake(webhook)
    assert (len(receiver.received), statuses(stores)) == (1, [(Status.DELIVERED.value, None)])


def test_neighbours_have_slots_of_their_own(stores: Any, receiver: Receiver) -> None:
    """A webhook holds its own slots alone, two at once if it asks for two."""
    webhook, other = add_webhook(receiver.url, maxInFlight=2), add_webhook(receiver.url)
    held: list[int] = []

    def answer(call: Received) -> tuple[int, dict[str, str]]:
        lane = stores.webhook_lanes.find_one({"_id": webhook.id})
        held.append(len(lane["slots"]))
        return 204, {}

    receiver.answer = answer
    deliver(webhook, 12)
    wiring.deliveries().record(other.id, [happening(99)])
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(wake, [webhook] * 5 + [other]))
    assert max(held) <= 2
    assert statuses(stores) == [("delivered", None)] * 13
