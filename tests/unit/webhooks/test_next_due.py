"""Nothing of webhooks is due earlier than `next_due` says, whatever waits, fails, is paused or was deleted."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from moto.backends import get_backend

from chalicelib.core.queueing.slots import Lane
from chalicelib.core.runtime import ids
from chalicelib.webhooks import wiring, worker
from chalicelib.webhooks.queues import URGENT, WEBHOOK
from tests.unit.conftest import STAGE
from tests.unit.webhooks.build import add_webhook, happening, let_pass

_DAY_SECONDS = 86_400


class Case(NamedTuple):
    """A webhook: its state, when its deliveries are due, in flight or not, since when it fails, when its lane opens."""

    state: str
    due_seconds: list[int]
    in_flight: bool
    failing_hours: int | None
    closed_seconds: int | None


CASES = st.builds(
    Case,
    state=st.sampled_from(["open", "high", "paused", "disabled", "deleted"]),
    due_seconds=st.lists(st.integers(60, 40 * _DAY_SECONDS), max_size=3),
    in_flight=st.booleans(),
    failing_hours=st.none() | st.integers(1, 119),
    closed_seconds=st.none() | st.integers(100, 900),
)


def make(case: Case, stores: Any) -> None:
    """Store the webhook and its deliveries."""
    webhook = add_webhook(priority="high" if case.state == "high" else "normal", paused=case.state == "paused")
    events = [happening(number, event_id=ids.new_id()) for number in range(len(case.due_seconds))]
    if events:
        wiring.deliveries().record(webhook.id, events)
    now, status = datetime.now(UTC), "in-flight" if case.in_flight else "due"
    for found, seconds in zip(stores.deliveries.find({"webhook": webhook.id}), case.due_seconds, strict=True):
        # A lease is short.
        due = now + timedelta(seconds=min(seconds, 200) if case.in_flight else seconds)
        stores.deliveries.update_one({"_id": found["_id"]}, {"$set": {"due": due, "status": status}})
    if case.failing_hours is not None:
        since = now - timedelta(hours=case.failing_hours)
        marks = {"failingSince": since, "lastDead": since + timedelta(hours=min(case.failing_hours, 30))}
        stores.webhook_heads.update_one({"_id": webhook.id}, {"$set": marks}, upsert=True)
    if case.closed_seconds is not None:
        for _ in range(5):
            wiring.slots().fail(Lane(webhook.id, webhook.id))
        opens = {"$set": {"breakers.$[].opensAt": now + timedelta(seconds=case.closed_seconds)}}
        stores.webhook_lanes.update_one({"_id": webhook.id}, opens)
    if case.state == "disabled":
        wiring.store().disable(webhook.id, "a reason")
    elif case.state == "deleted":
        wiring.store().remove(webhook.id, by="ann", operation=ids.new_id())


def take_messages() -> list[float]:
    """Take every message; return the seconds for which SQS still holds each. Only moto's own state shows them."""
    queues, now = get_backend("sqs")["123456789012"]["us-east-1"].queues, datetime.now(UTC).timestamp()
    found: list[float] = []
    for queue in (WEBHOOK, URGENT):
        messages = queues[f"holdfast-{STAGE}-{queue.name}"]._messages
        found += [message.delayed_until / 1000 - now for message in messages]
        messages.clear()
    return found


def shown(stores: Any) -> tuple[Any, ...]:
    """Return what a sweep may end: deliveries, and webhooks that are enabled."""
    deliveries = [(each["_id"], each["status"]) for each in stores.deliveries.find({}).sort("_id")]
    return deliveries, [(each.id, each.doc["enabled"]) for each in wiring.store().every()]


def send_due(stores: Any) -> None:
    """End the deliveries that are due in lanes that may send, as their workers do."""
    sending = [each for each in wiring.store().every() if each.doc["enabled"] and not each.doc["paused"]]
    open_lanes = [each.id for each in sending if not wiring.slots().closed(each.id)]
    done = {"$set": {"status": "delivered"}, "$unset": {"due": ""}}
    stores.deliveries.update_many({"webhook": {"$in": open_lanes}, "due": {"$lte": datetime.now(UTC)}}, done)


# A smaller failing example would take minutes.
@settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(st.lists(CASES, min_size=1, max_size=3), st.lists(st.integers(5, 100), min_size=2, max_size=4))
@example([Case("paused", [60], in_flight=False, failing_hours=None, closed_seconds=None)], [10, 10])
@example([Case("disabled", [300, 600], in_flight=True, failing_hours=None, closed_seconds=None)], [10, 10])
@example([Case("deleted", [300], in_flight=False, failing_hours=None, closed_seconds=None)], [10, 10])
@example([Case("open", [], in_flight=False, failing_hours=100, closed_seconds=None)], [10, 10])
@example([Case("open", [60], in_flight=False, failing_hours=None, closed_seconds=300)], [10, 10])
def test_nothing_of_webhooks_is_due_before_next_due_says(stores: Any, cases: list[Case], waits: list[int]) -> None:
    clear(stores)
    for case in cases:
        make(case, stores)
    for seconds in waits:
        take_messages()
        due = worker.next_due()
        before = shown(stores)
        if due is None:
            # Then nothing is left to do, ever.
            let_pass(stores, timedelta(days=40))
            assert (worker.sweep(), take_messages(), shown(stores)) == (0, [], before)
            return
        # Until some seconds before the moment, the sweep ends nothing, and wakes lanes with a delay alone
        ahead = due > datetime.now(UTC)
        let_pass(stores, due - datetime.now(UTC) - timedelta(seconds=seconds))
        if ahead:
            worker.sweep()
            assert shown(stores) == before
            assert all(delay > seconds - 3 for delay in take_messages())
        # At the moment, there is work to do, and the sweep leaves none but that of workers
        let_pass(stores, timedelta(seconds=seconds + 1))
        first = worker.next_due()
        assert first is not None
        assert first <= datetime.now(UTC)
        worker.sweep()
        send_due(stores)
        after = worker.next_due()
        assert after is None or after > datetime.now(UTC)


def clear(stores: Any) -> None:
    for webhook in wiring.store().every():
        wiring.store().remove(webhook.id, by="ann", operation=ids.new_id())
    for collection in (stores.deliveries, stores.webhook_heads, stores.webhook_lanes):
        collection.delete_many({})
