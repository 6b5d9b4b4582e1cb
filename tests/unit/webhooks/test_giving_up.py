"""A webhook that brings nothing but failures for five days is given up, however many deliveries are pending."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chalice.app import SQSEvent

from chalicelib.core.records.models import Record
from chalicelib.webhooks import wiring, worker
from tests.support.gateway import Context
from tests.support.queue import record
from tests.unit.webhooks.build import add_webhook, happening, let_pass

_BURST = 500


def wake(webhook: Record) -> None:
    """Run a worker that was woken for the lane."""
    context: Any = Context(50_000)
    body = f'{{"schema":1,"causedBy":"","owner":"{webhook.id}","lane":"{webhook.id}"}}'
    worker.send(SQSEvent({"Records": [{**record("x", "m-1"), "body": body}]}, context))


def test_a_burst_does_not_delay_the_end_of_a_failing_webhook(stores: Any) -> None:
    # Given a burst of deliveries for an address where nobody listens
    webhook = add_webhook("http://127.0.0.1:9/", rateLimitPerMinute=60_000)
    wiring.deliveries().record(webhook.id, [happening(number) for number in range(_BURST)])
    wake(webhook)
    # When the lane has a probe an hour
    for _ in range(40):
        let_pass(stores, timedelta(hours=1))
        wake(webhook)
    # Then the oldest deliveries have come to their end, and the others wait
    assert stores.deliveries.count_documents({"reason": "exhausted"}) > 0
    assert stores.deliveries.count_documents({"due": {"$exists": True}}) > _BURST * 0.9
    # And the webhook is enabled until the end of its fifth day
    ends = stores.webhook_heads.find_one({"_id": webhook.id})["failingSince"] + timedelta(days=5)
    let_pass(stores, ends - datetime.now(UTC) - timedelta(minutes=1))
    worker.sweep()
    assert wiring.store().get(webhook.id).doc["enabled"]
    let_pass(stores, timedelta(minutes=1))
    assert (due := worker.next_due())
    assert due <= datetime.now(UTC)
    worker.sweep()
    found = wiring.store().get(webhook.id).doc
    assert (found["enabled"], found["disabledReason"]) == (False, "Nothing but failures for 5 days.")
    # And nothing waits any more
    worker.sweep()
    assert stores.deliveries.count_documents({"due": {"$exists": True}}) == 0


def test_one_success_begins_the_five_days_anew(stores: Any) -> None:
    # Given a webhook that fails for four days, and delivered once since
    webhook = add_webhook()
    wiring.deliveries().record(webhook.id, [happening(1)])
    now = datetime.now(UTC)
    marks = {"failingSince": now - timedelta(days=4), "lastDead": now - timedelta(days=2)}
    stores.webhook_heads.update_one({"_id": webhook.id}, {"$set": marks})
    done = {"$set": {"status": "delivered", "finishedAt": now - timedelta(days=1)}, "$unset": {"due": ""}}
    stores.deliveries.update_one({"webhook": webhook.id}, done)
    # When, Then
    let_pass(stores, timedelta(days=2))
    worker.sweep()
    assert wiring.store().get(webhook.id).doc["enabled"]
    head = stores.webhook_heads.find_one({"_id": webhook.id})
    assert abs(head["failingSince"] - (now - timedelta(days=3))) < timedelta(seconds=1)
    assert "lastDead" not in head
