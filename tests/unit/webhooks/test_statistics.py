"""Statistics of webhooks: counted once, added up over workers and days, and read without a look at deliveries."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.core.web.roles import Role
from chalicelib.webhooks import wiring
from chalicelib.webhooks.attempts import Result
from chalicelib.webhooks.statistics import Tally
from tests.support.gateway import ask
from tests.support.receiver import Receiver
from tests.support.users import signed_in
from tests.unit.webhooks.build import add_webhook
from tests.unit.webhooks.test_serve import deliver, make_all_due, wake

LATENCIES = st.lists(st.integers(1, 15_000), min_size=1, max_size=200)


@pytest.fixture
def admin(users: Any, stores: Any) -> str:
    del users, stores
    return signed_in("admin-1", Role.ADMIN)


def shown(token: str, webhook_id: str, **query: str) -> dict[str, Any]:
    answer = ask("GET", f"/api/webhooks/{webhook_id}/statistics", token=token, query=query)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def count(webhook_id: str, *results: Result) -> None:
    """Count a turn of these calls."""
    tally = Tally()
    for result in results:
        tally.note(result)
    wiring.statistics().add(webhook_id, tally)


def test_calls_of_turns_are_counted_once(admin: str, stores: Any, receiver: Receiver) -> None:
    # Given three deliveries, of which the receiver fails one at first
    webhook = add_webhook(receiver.url)
    deliver(webhook, 3)
    receiver.answer = lambda call: (500 if call.event["sequence"] == 2 and len(receiver.received) < 3 else 204, {})
    # When they are sent in two turns, and workers are woken for nothing
    wake(webhook)
    between = shown(admin, webhook.id)
    make_all_due(stores)
    wake(webhook)
    wake(webhook)
    # Then
    assert (between["answered"], between["failed"], between["waiting"]) == (2, 1, 1)
    assert between["nextDueAt"]
    after = shown(admin, webhook.id)
    assert (after["answered"], after["failed"], after["waiting"], after["nextDueAt"]) == (3, 1, 0, None)
    assert 0 < after["latencyMs"]["p50"] <= after["latencyMs"]["p90"] <= after["latencyMs"]["p99"]


def test_statistics_of_an_unused_webhook_are_empty(admin: str) -> None:
    webhook = add_webhook()
    empty = {"days": 7, "answered": 0, "failed": 0, "latencyMs": None, "waiting": 0, "nextDueAt": None}
    assert shown(admin, webhook.id) == empty
    assert shown(admin, webhook.id, days="1") == empty | {"days": 1}


@pytest.mark.parametrize("days", ["0", "32", "x"])
def test_statistics_of_a_wrong_time_are_refused(admin: str, days: str) -> None:
    answer = ask("GET", f"/api/webhooks/{add_webhook().id}/statistics", token=admin, query={"days": days})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "days")


def test_statistics_need_an_administrator_and_a_webhook(admin: str) -> None:
    path = f"/api/webhooks/{add_webhook().id}/statistics"
    assert ask("GET", path, token=signed_in("officer-1", Role.OFFICER)).status == 403
    assert ask("GET", path.replace("/01", "/7Z"), token=admin).json["code"] == "webhook-not-found"


def test_days_add_up_and_old_ones_are_left_out(admin: str, stores: Any) -> None:
    webhook = add_webhook()
    now = datetime.now(UTC)
    for back, latency in ((0, 100), (6, 200), (7, 9_000)):
        day = f"{webhook.id}/{(now - timedelta(days=back)).date().isoformat()}"
        count("another", Result(latency, 204))
        # The day goes by its id.
        counted = stores.webhook_statistics.find_one_and_delete({"_id": {"$regex": "^another/"}})
        stores.webhook_statistics.insert_one(counted | {"_id": day})
    week = shown(admin, webhook.id)
    assert week["answered"] == 2
    assert week["latencyMs"]["p99"] <= 204
    assert shown(admin, webhook.id, days="8")["answered"] == 3


def test_a_call_without_an_answer_has_no_latency(admin: str) -> None:
    webhook = add_webhook()
    count(webhook.id, Result(15_000, error="timeout"))
    found = shown(admin, webhook.id)
    assert (found["failed"], found["latencyMs"]) == (1, None)


def test_a_turn_without_a_call_writes_nothing(stores: Any) -> None:
    count(add_webhook().id)
    assert stores.webhook_statistics.count_documents({}) == 0


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=LATENCIES, second=LATENCIES)
def test_percentiles_of_several_workers_are_within_two_percent(
    mongodb: Any, first: list[int], second: list[int]
) -> None:
    mongodb.webhook_statistics.delete_many({})
    count("hook", *(Result(ms, 204) for ms in first))
    count("hook", *(Result(ms, 204) for ms in second))
    answered, failed, latency = wiring.statistics().of("hook", 1)
    assert (answered, failed) == (len(first) + len(second), 0)
    every = sorted(first + second)
    for part, found in zip((0.5, 0.9, 0.99), latency or (), strict=True):
        true = every[int(part * (len(every) - 1))]
        # Rounded to a whole millisecond.
        assert abs(found[1] - true) <= 0.02 * true + 1
