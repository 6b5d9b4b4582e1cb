"""Webhooks that only fail are given up; lanes with work are woken; no delivery is forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core.queueing.queues import Load
from chalicelib.core.runtime import logs
from chalicelib.webhooks import wiring, worker
from chalicelib.webhooks.attempts import Decision, Result
from chalicelib.webhooks.models import Reason, Status
from infra.deployment import template
from tests.unit.webhooks.build import add_webhook, happening
from tests.unit.webhooks.test_serve import woken

FAILED, DEAD = Result(1, status=500), Decision(Status.DEAD, Reason.EXHAUSTED)
TAKEN, DELIVERED = Result(1, status=204), Decision(Status.DELIVERED)


def deliver(webhook_id: str, number: int, result: Result, decision: Decision) -> None:
    """Make a delivery and let one attempt end so."""
    wiring.deliveries().record(webhook_id, [happening(number)])
    claimed = wiring.deliveries().claim(webhook_id, 60_000)
    assert claimed
    wiring.deliveries().finish(claimed, result, decision)
    if not result.ok:
        wiring.health().fail(webhook_id, dead=decision.status is Status.DEAD)


def let_pass(stores: Any, **by: float) -> None:
    """Set every stored moment back."""
    by_ms = round(timedelta(**by) / timedelta(milliseconds=1))

    def back(*names: str) -> list[dict[str, Any]]:
        return [{"$set": {name: {"$subtract": [f"${name}", by_ms]} for name in names}}]

    stores.webhook_heads.update_many({"failingSince": {"$type": "date"}}, back("failingSince"))
    stores.webhook_heads.update_many({"lastDead": {"$type": "date"}}, back("lastDead"))
    stores.deliveries.update_many({"finishedAt": {"$type": "date"}}, back("finishedAt"))
    stores.deliveries.update_many({"due": {"$type": "date"}}, back("due"))
    stores.deliveries.update_many({}, back("createdAt", "expiresAt"))
    attempts = {"$mergeObjects": ["$$this", {"at": {"$subtract": ["$$this.at", by_ms]}}]}
    stores.deliveries.update_many({}, [{"$set": {"attempts": {"$map": {"input": "$attempts", "in": attempts}}}}])


def enabled(webhook_id: str) -> bool:
    return bool(wiring.store().get(webhook_id).doc["enabled"])


def test_five_days_of_nothing_but_failures_disable_a_webhook(stores: Any) -> None:
    # Given a burst, of which one delivery has come to its end after the 28 hours of the schedule
    webhook = add_webhook()
    wiring.deliveries().record(webhook.id, [happening(each) for each in range(2, 502)])
    wiring.health().fail(webhook.id, dead=False)
    let_pass(stores, hours=28)
    deliver(webhook.id, 1, FAILED, DEAD)
    # When
    let_pass(stores, days=3, hours=19)
    worker.sweep()
    assert enabled(webhook.id)
    let_pass(stores, hours=2)
    worker.sweep()
    # Then pending deliveries have not kept it alive, and end with it
    found = wiring.store().get(webhook.id).doc
    assert (found["enabled"], found["disabledReason"]) == (False, "Nothing but failures for 5 days.")
    assert stores.deliveries.count_documents({"status": "dead", "reason": "disabled"}) == 500
    assert worker.load() == Load(0, 0)


def test_a_success_begins_the_five_days_anew(stores: Any) -> None:
    webhook = add_webhook()
    deliver(webhook.id, 1, FAILED, DEAD)
    let_pass(stores, days=2)
    deliver(webhook.id, 2, TAKEN, DELIVERED)
    let_pass(stores, days=2)
    deliver(webhook.id, 3, FAILED, DEAD)
    let_pass(stores, days=2)
    worker.sweep()
    deliver(webhook.id, 4, FAILED, DEAD)
    assert enabled(webhook.id)
    let_pass(stores, days=1, hours=1)
    worker.sweep()
    assert not enabled(webhook.id)


def test_a_single_bad_delivery_gives_no_webhook_up(stores: Any) -> None:
    webhook = add_webhook()
    deliver(webhook.id, 1, Result(1, status=400), DEAD)
    let_pass(stores, days=20)
    worker.sweep()
    assert enabled(webhook.id)


def test_an_enabled_webhook_has_five_more_days(stores: Any) -> None:
    webhook = add_webhook()
    deliver(webhook.id, 1, FAILED, DEAD)
    let_pass(stores, days=6)
    deliver(webhook.id, 2, FAILED, DEAD)
    worker.sweep()
    assert not enabled(webhook.id)
    wiring.store().change(webhook.id, {"enabled": True, "disabledReason": None}, by="ann", operation="op-1")
    worker.sweep()
    assert enabled(webhook.id)


def test_the_sweep_wakes_each_lane_with_work_once(stores: Any, mail: Any) -> None:
    # Given lanes with and without work, a paused one, and one whose worker died
    busy, dead, paused = add_webhook(), add_webhook(), add_webhook(paused=True)
    add_webhook()
    for webhook in (busy, dead, paused):
        wiring.deliveries().record(webhook.id, [happening(1), happening(2)])
    assert wiring.deliveries().claim(dead.id, 1_000)
    # When, Then
    assert worker.sweep() == 2
    assert woken() == 2


@pytest.mark.parametrize(("fields", "forgotten"), [({}, 2), ({"paused": True}, 0)])
def test_deliveries_that_nobody_takes_are_counted(stores: Any, fields: dict[str, Any], forgotten: int) -> None:
    webhook = add_webhook(**fields)
    wiring.deliveries().record(webhook.id, [happening(1), happening(2)])
    assert worker.check() == 0
    let_pass(stores, minutes=4)
    assert worker.check() == forgotten


def test_a_lane_that_moves_has_forgotten_nothing(stores: Any) -> None:
    webhook = add_webhook()
    wiring.deliveries().record(webhook.id, [happening(1), happening(2)])
    let_pass(stores, minutes=4)
    deliver(webhook.id, 3, TAKEN, DELIVERED)
    assert worker.check() == 0


def test_a_closed_lane_has_forgotten_nothing(stores: Any) -> None:
    webhook = add_webhook()
    wiring.deliveries().record(webhook.id, [happening(1)])
    let_pass(stores, minutes=4)
    opens = datetime.now(UTC) + timedelta(minutes=1)
    stores.webhook_lanes.insert_one({"_id": webhook.id, "breakers": [{"lane": webhook.id, "opensAt": opens}]})
    assert worker.check() == 0


def test_what_a_deleted_webhook_left_is_ended(stores: Any) -> None:
    webhook = add_webhook()
    wiring.store().remove(webhook.id, by="ann", operation="op-1")
    # An event that was accepted at the same moment
    wiring.deliveries().record(webhook.id, [happening(1)])
    worker.sweep()
    assert stores.deliveries.find_one({})["reason"] == "deleted"
    assert wiring.health().known() == []


def test_the_alarm_watches_what_the_sweep_counts(stores: Any) -> None:
    del stores
    alarm = template.resources()["Resources"]["ForgottenDeliveriesAlarm"]["Properties"]
    with logs.invocation("sweep") as line:
        worker.sweep()
    assert line.counts[alarm["MetricName"]] == 0
