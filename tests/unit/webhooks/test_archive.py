"""Deliveries for people: lists with filters, one with its attempts, replays and recoveries."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core.records.models import Record
from chalicelib.core.web.roles import Role
from chalicelib.webhooks import wiring
from chalicelib.webhooks.attempts import Decision, Result
from chalicelib.webhooks.models import Reason, Status
from chalicelib.webhooks.shown import Recover
from tests.support.gateway import Answer, ask
from tests.support.receiver import Receiver
from tests.support.users import signed_in
from tests.unit.webhooks.build import add_webhook, happening
from tests.unit.webhooks.test_serve import wake, woken

REFUSED = Result(12, status=404, answer="nobody here")
DEAD, TAKEN = Decision(Status.DEAD, Reason.REFUSED), Decision(Status.DELIVERED)


@pytest.fixture
def admin(users: Any, stores: Any) -> str:
    del users, stores
    return signed_in("admin-1", Role.ADMIN)


def end(webhook: Record, result: Result, decision: Decision) -> str:
    """End the next delivery of the webhook so; return its id."""
    claimed = wiring.deliveries().claim(webhook.id, 60_000)
    assert claimed
    wiring.deliveries().finish(claimed, result, decision)
    return claimed.id


def died(webhook: Record, number: int = 1) -> list[str]:
    """Make dead deliveries; return their ids in order."""
    wiring.deliveries().record(webhook.id, [happening(each) for each in range(1, number + 1)])
    return [end(webhook, REFUSED, DEAD) for _ in range(number)]


def listed(token: str, path: str = "/api/deliveries", **query: str) -> list[dict[str, Any]]:
    answer = ask("GET", path, token=token, query=query or None)
    assert answer.status == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def replay(token: str, webhook: Record, delivery_id: str, verb: str = "replay") -> Answer:
    return ask("POST", f"/api/webhooks/{webhook.id}/deliveries/{delivery_id}/{verb}", token=token)


def test_a_delivery_shows_its_body_and_each_attempt(admin: str) -> None:
    webhook = add_webhook()
    (id_,) = died(webhook)
    found = ask("GET", f"/api/deliveries/{id_}", token=admin).json
    assert (found["status"], found["reason"], found["sequence"], found["attempts"]) == ("dead", "refused", 1, 1)
    (call,) = found["calls"]
    assert (call["trigger"], call["status"], call["latencyMs"], call["answer"]) == ("schedule", 404, 12, "nobody here")
    assert found["body"].startswith('{"type": "note.updated", "id": "dlv_')
    (item,) = listed(admin)
    assert (item["lastStatus"], item["deliveryId"], "body" in item, "calls" in item) == (404, id_, False, False)


def test_lists_are_filtered_and_paged(admin: str) -> None:
    first, second = add_webhook(), add_webhook()
    died(first, 3)
    wiring.deliveries().record(second.id, [happening(9, type="application.created", event_id="application/A@1")])
    assert len(listed(admin)) == 4
    assert {each["webhookId"] for each in listed(admin, webhookId=second.id)} == {second.id}
    assert [each["status"] for each in listed(admin, status="due")] == ["due"]
    assert [each["type"] for each in listed(admin, type="application.*")] == ["application.created"]
    assert len(listed(admin, f"/api/webhooks/{first.id}/deliveries", type="note.updated", status="dead")) == 3
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert (len(listed(admin, since=later)), len(listed(admin, until=later))) == (0, 4)
    # And by cursor, each once
    seen, cursor = [], None
    while True:
        page = ask("GET", "/api/deliveries", token=admin, query={"limit": "2"} | ({"cursor": cursor} if cursor else {}))
        seen += [each["deliveryId"] for each in page.json["items"]]
        if (cursor := page.json["nextCursor"]) is None:
            break
    assert len(seen) == len(set(seen)) == 4


def test_unfinished_deliveries_are_counted(admin: str) -> None:
    webhook = add_webhook()
    died(webhook)
    wiring.deliveries().record(webhook.id, [happening(8), happening(9)])
    assert wiring.deliveries().claim(webhook.id, 60_000)
    found = ask("GET", "/api/cluster/webhooks/queue", token=admin).json
    assert found == {"due": 1, "inFlight": 1, "forgotten": 0}


def test_a_page_of_large_answers_stays_small(admin: str, stores: Any) -> None:
    webhook = add_webhook()
    (id_,) = died(webhook)
    attempts = [
        {"id": str(each), "at": datetime.now(UTC), "trigger": "schedule", "answer": "\x00" * 1024} for each in range(50)
    ]
    found = stores.deliveries.find_one({"_id": id_}) | {"attempts": attempts}
    stores.deliveries.insert_many([found | {"_id": f"dlv_{each:040x}"} for each in range(199)])
    answer = ask("GET", "/api/deliveries", token=admin, query={"limit": "200"})
    assert (len(answer.json["items"]), len(answer.text) < 200_000) == (200, True)
    assert len(ask("GET", f"/api/deliveries/dlv_{0:040x}", token=admin).text) < 5_000_000


@pytest.mark.parametrize(("status", "after"), [(204, "delivered"), (500, "dead")])
def test_a_replay_sends_a_dead_delivery_once(
    admin: str, receiver: Receiver, stores: Any, status: int, after: str
) -> None:
    # Given
    webhook = add_webhook(receiver.url)
    (id_,) = died(webhook)
    receiver.answer = lambda _: (status, {})
    # When
    assert replay(admin, webhook, id_).json["status"] == "due"
    assert woken() == 1
    wake(webhook)
    wake(webhook)
    # Then
    found = stores.deliveries.find_one({"_id": id_})
    assert (len(receiver.received), found["status"]) == (1, after)
    assert [each["trigger"] for each in found["attempts"]] == ["schedule", "manual"]
    assert receiver.received[0].headers["webhook-id"] == id_


def test_a_replay_leaves_the_schedule_as_it_is(admin: str, receiver: Receiver, stores: Any) -> None:
    # Given a delivery that is due in five minutes
    webhook = add_webhook(receiver.url)
    wiring.deliveries().record(webhook.id, [happening(1)])
    id_ = end(webhook, Result(1, status=500), Decision(Status.DUE, pause_ms=300_000))
    before = stores.deliveries.find_one({"_id": id_})
    # When
    receiver.answer = lambda _: (500, {})
    assert replay(admin, webhook, id_).status == 200
    wake(webhook)
    # Then
    after = stores.deliveries.find_one({"_id": id_})
    assert (after["status"], after["due"], after["tries"]) == ("due", before["due"], 1)
    assert len(after["attempts"]) == 2


def test_retry_now_makes_the_next_attempt_due(admin: str, receiver: Receiver, stores: Any) -> None:
    webhook = add_webhook(receiver.url)
    wiring.deliveries().record(webhook.id, [happening(1)])
    id_ = end(webhook, Result(1, status=500), Decision(Status.DUE, pause_ms=300_000))
    assert replay(admin, webhook, id_, "retry-now").status == 200
    wake(webhook)
    found = stores.deliveries.find_one({"_id": id_})
    assert (found["status"], found["tries"], found["attempts"][1]["trigger"]) == ("delivered", 2, "manual")
    assert replay(admin, webhook, id_, "retry-now").json["code"] == "delivery-not-due"


def test_a_replay_under_one_key_sends_once(admin: str, receiver: Receiver) -> None:
    webhook = add_webhook(receiver.url)
    (id_,) = died(webhook)
    for _ in range(3):
        assert wiring.archive().replay(webhook.id, id_, "op-1")["_id"] == id_
        wake(webhook)
    assert len(receiver.received) == 1


def test_a_delivery_in_flight_is_not_replayed(admin: str) -> None:
    webhook = add_webhook()
    wiring.deliveries().record(webhook.id, [happening(1)])
    claimed = wiring.deliveries().claim(webhook.id, 60_000)
    assert claimed
    answer = replay(admin, webhook, claimed.id)
    assert (answer.status, answer.json["code"]) == (409, "delivery-in-flight")


def test_a_replay_of_another_webhooks_delivery_is_unknown(admin: str) -> None:
    webhook, other = add_webhook(), add_webhook()
    (id_,) = died(webhook)
    assert replay(admin, other, id_).json["code"] == "delivery-not-found"
    assert ask("GET", f"/api/deliveries/dlv_{0:040x}", token=admin).status == 404


def test_disabling_leaves_a_replayed_delivery_at_its_end(admin: str, stores: Any) -> None:
    webhook = add_webhook()
    wiring.deliveries().record(webhook.id, [happening(1)])
    id_ = end(webhook, Result(1, status=204), TAKEN)
    assert replay(admin, webhook, id_).status == 200
    wiring.deliveries().end_all(webhook.id, Reason.DISABLED)
    found = stores.deliveries.find_one({"_id": id_})
    assert (found["status"], found.get("reason"), "due" in found) == ("delivered", None, False)


def test_a_recovery_says_first_how_many_it_would_send(admin: str, receiver: Receiver) -> None:
    # Given three dead deliveries and one that arrived
    webhook = add_webhook(receiver.url)
    wiring.deliveries().record(webhook.id, [happening(99)])
    end(webhook, Result(1, status=204), TAKEN)
    died(webhook, 3)
    path, since = f"/api/webhooks/{webhook.id}/recover", {"since": "2020-01-01T00:00:00Z"}
    # When, Then
    counted = ask("POST", path, since | {"dryRun": True}, token=admin).json
    assert counted == {"count": 3, "delivered": 1, "more": False}
    refused = ask("POST", path, since | {"expectedCount": 2}, token=admin)
    assert (refused.status, refused.json["code"]) == (409, "count-changed")
    assert ask("POST", path, since | {"expectedCount": 3}, token=admin).json == counted
    wake(webhook)
    assert [call.event["sequence"] for call in receiver.received] == [2, 3, 4]
    assert ask("POST", path, since | {"dryRun": True}, token=admin).json == {"count": 0, "delivered": 4, "more": False}


def test_a_recovery_that_is_repeated_goes_on(admin: str, stores: Any) -> None:
    """The first attempt's time was too short, and its process died: the repeat under its operation does the rest."""
    webhook = add_webhook()
    died(webhook, 5)
    asked = Recover(since=datetime(2020, 1, 1, tzinfo=UTC), expected_count=5)
    assert wiring.archive().recover(webhook.id, asked, "op-1", lambda: False).more
    for _ in range(2):
        found = wiring.archive().recover(webhook.id, asked, "op-1", lambda: True)
        assert (found.count, found.more) == (5, False)
    assert stores.deliveries.count_documents({"status": "due", "tries": 0}) == 5


@pytest.mark.parametrize("verb", ["replay", "retry-now"])
def test_a_disabled_webhook_replays_nothing(admin: str, verb: str) -> None:
    webhook = add_webhook()
    (id_,) = died(webhook)
    wiring.store().disable(webhook.id, "for a test")
    assert replay(admin, webhook, id_, verb).json["code"] == "webhook-disabled"
    answer = ask("POST", f"/api/webhooks/{webhook.id}/recover", {"since": "2020-01-01T00:00:00Z"}, token=admin)
    assert answer.json["code"] == "webhook-disabled"


@pytest.mark.parametrize("role", [Role.USER, Role.OFFICER, Role.SERVICE])
def test_only_administrators_see_deliveries(admin: str, role: Role) -> None:
    webhook = add_webhook()
    (id_,) = died(webhook)
    token, lane = signed_in("other", role), f"/api/webhooks/{webhook.id}"
    for path in ("/api/deliveries", f"/api/deliveries/{id_}", f"{lane}/deliveries"):
        assert ask("GET", path, token=token).status == 403
    for verb in ("replay", "retry-now"):
        assert replay(token, webhook, id_, verb).status == 403
    assert ask("POST", f"{lane}/recover", {"since": "2020-01-01T00:00:00Z"}, token=token).status == 403
