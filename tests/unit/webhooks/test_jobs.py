"""Replays of many deliveries: which are sent, by a count that still holds, once each, also when processes die."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pymongo.collection import Collection

from chalicelib.core.records.models import Record
from chalicelib.core.runtime import deadline
from chalicelib.core.web.roles import Role
from chalicelib.webhooks import jobs, sending, wiring, worker
from chalicelib.webhooks.attempts import Decision, Result
from chalicelib.webhooks.models import Status
from chalicelib.webhooks.shown import DeliveryFilter
from tests.support.gateway import Answer, ask
from tests.support.queue import Killed
from tests.support.receiver import Receiver
from tests.support.users import signed_in
from tests.unit.webhooks.build import add_webhook, happening
from tests.unit.webhooks.test_archive import DEAD, REFUSED, TAKEN, died, end, listed
from tests.unit.webhooks.test_kills import Process
from tests.unit.webhooks.test_serve import wake, woken

#: What a job asks of MongoDB. `find_one` calls `find`.
_CALLS = ("aggregate", "find_one_and_update", "find", "update_many", "update_one")


@pytest.fixture
def admin(users: Any, stores: Any) -> str:
    del users, stores
    return signed_in("admin-1", Role.ADMIN)


def replay(token: str, filter_: dict[str, Any], expected: int | None = None, key: str = "", **body: Any) -> Answer:
    sent = {"filter": filter_, **({} if expected is None else {"expectedCount": expected}), **body}
    headers = {"Idempotency-Key": key} if key else {}
    return ask("POST", "/api/deliveries/replay", sent, token=token, headers=headers)


def delivered(webhook: Record, *numbers: int, **fields: Any) -> None:
    wiring.deliveries().record(webhook.id, [happening(each, **fields) for each in numbers])
    for _ in numbers:
        end(webhook, Result(1, status=204), TAKEN)


def sequences(receiver: Receiver) -> list[int]:
    return [call.event["sequence"] for call in receiver.received]


def test_a_job_sends_each_delivery_of_its_filter_once(admin: str, receiver: Receiver) -> None:
    # Given deliveries of two webhooks, some dead, some delivered
    first, second = add_webhook(f"{receiver.url}/first"), add_webhook(f"{receiver.url}/second")
    died(first, 3)
    delivered(second, 8, 9)
    died(second, 3)
    # When
    assert replay(admin, {"status": "dead"}, 6).json == {"count": 6, "skipped": 0, "more": False}
    for webhook in (first, second, first, second):
        wake(webhook)
    # Then
    assert Counter(call.path for call in receiver.received) == {"/first": 3, "/second": 3}
    assert sequences(receiver)[:3] == [1, 2, 3]
    assert [each["lastStatus"] for each in listed(admin, status="delivered")] == [204] * 8


@pytest.mark.parametrize(
    ("filter_", "sent"),
    [
        ({}, [1, 2, 3]),
        ({"status": "delivered"}, [1, 2]),
        ({"status": "dead"}, [3]),
        ({"type": "application.*"}, [2]),
        ({"type": "note.updated"}, [1, 3]),
        ({"since": (datetime.now(UTC) + timedelta(days=1)).isoformat()}, []),
        ({"webhookId": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, []),
    ],
)
def test_a_job_has_the_filter_and_the_count_of_the_list(
    admin: str, receiver: Receiver, filter_: dict[str, str], sent: list[int]
) -> None:
    webhook = add_webhook(receiver.url)
    delivered(webhook, 1)
    delivered(webhook, 2, type="application.created")
    wiring.deliveries().record(webhook.id, [happening(3)])
    end(webhook, REFUSED, DEAD)
    count = len(listed(admin, **filter_))
    assert replay(admin, filter_, dryRun=True).json == {"count": count, "skipped": 0, "more": False}
    assert replay(admin, filter_, count).status == 200
    wake(webhook)
    assert sequences(receiver) == sent


def test_a_job_is_refused_if_the_count_has_changed(admin: str, stores: Any) -> None:
    died(add_webhook(), 3)
    for expected in (2, 4):
        answer = replay(admin, {"status": "dead"}, expected)
        assert (answer.status, answer.json["code"]) == (409, "count-changed")
    answer = replay(admin, {"status": "dead"})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "expectedCount")
    assert replay(admin, {"state": "dead"}, 3).status == 422
    assert stores.deliveries.count_documents({"status": "dead"}) == 3
    assert (stores.webhook_jobs.count_documents({}), woken()) == (0, 0)


def test_a_job_called_twice_sends_nothing_twice(admin: str, receiver: Receiver) -> None:
    webhook = add_webhook(receiver.url)
    delivered(webhook, 1, 2)
    answers = [replay(admin, {}, 2, key="k-1").json]
    wake(webhook)
    # A repeat after the answer was lost, and one whose process had died before it was kept
    answers.append(replay(admin, {}, 2, key="k-1").json)
    (job,) = wiring.archive()._deliveries.distinct("job")
    assert wiring.jobs().begin(job, DeliveryFilter(), 2, {webhook.id}).count == 2
    assert sending.go_on(job, lambda: True)
    wake(webhook)
    assert (answers[0], sequences(receiver)) == (answers[1], [1, 2])


def test_deliveries_that_cannot_be_sent_are_skipped(admin: str, stores: Any, receiver: Receiver) -> None:
    webhook, disabled = add_webhook(receiver.url), add_webhook(receiver.url)
    delivered(webhook, 1)
    delivered(disabled, 1, 2)
    wiring.store().disable(disabled.id, "for a test")
    wiring.deliveries().record(webhook.id, [happening(7)])
    assert wiring.deliveries().claim(webhook.id, 60_000)
    before = list(stores.deliveries.find({"webhook": disabled.id}))
    assert replay(admin, {}, 4).json == {"count": 4, "skipped": 3, "more": False}
    assert list(stores.deliveries.find({"webhook": disabled.id})) == before
    assert [each["sequence"] for each in stores.deliveries.find({"job": {"$exists": True}})] == [1]


def test_a_replay_that_fails_leaves_each_delivery_as_it_was(admin: str, stores: Any, receiver: Receiver) -> None:
    webhook = add_webhook(receiver.url)
    delivered(webhook, 1)
    receiver.answer = lambda _: (500, {})
    replay(admin, {}, 1)
    wake(webhook)
    found = stores.deliveries.find_one({})
    assert (found["status"], "due" in found, len(found["attempts"])) == ("delivered", False, 2)


def test_a_job_that_was_too_long_goes_on_in_the_sweep(
    admin: str, stores: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "STEP", 2)
    webhook = add_webhook(receiver.url)
    died(webhook, 5)
    steps = iter([True])
    wiring.jobs().begin("op-1", DeliveryFilter(status=Status.DEAD), 5, {webhook.id})
    assert not sending.go_on("op-1", lambda: next(steps, False))
    assert (stores.deliveries.count_documents({"status": "due"}), worker.next_due() is not None) == (2, True)
    # What happens after the beginning is none of the job's
    stores.deliveries.update_one({"sequence": 5}, {"$set": {"createdAt": datetime.now(UTC) + timedelta(hours=1)}})
    with deadline.at_most(30_000):
        worker.sweep()
    assert wiring.jobs().open() == []
    wake(webhook)
    assert sequences(receiver) == [1, 2, 3, 4]


def test_a_job_survives_a_death_at_each_call(
    admin: str, stores: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat of the call and the sweep do the rest, and no delivery is sent twice."""
    monkeypatch.setattr(jobs, "STEP", 2)
    webhook, wanted = add_webhook(receiver.url, rateLimitPerMinute=6_000), DeliveryFilter()
    delivered(webhook, *range(1, 6))
    originals = {name: getattr(Collection, name) for name in _CALLS}
    dies_at, dead = 0, True
    while dead:
        dies_at += 1
        for after in (False, True):
            receiver.received.clear()
            operation, process = f"op-{dies_at}-{after}", Process(dies_at, after=after)
            dead = _dies(monkeypatch, process, originals, partial(_job, operation, wanted, webhook))
            # What is due is sent, and then delivered as before: the filter still matches it.
            wake(webhook)
            wiring.jobs().begin(operation, wanted, 5, {webhook.id})
            with deadline.at_most(30_000):
                worker.sweep()
            wake(webhook)
            assert sequences(receiver) == [1, 2, 3, 4, 5], (dies_at, after)
            assert stores.deliveries.count_documents({"status": "delivered"}) == 5
    assert dies_at > 10


def _job(operation: str, wanted: DeliveryFilter, webhook: Record) -> None:
    wiring.jobs().begin(operation, wanted, 5, {webhook.id})
    sending.go_on(operation, lambda: True)


def _dies(
    monkeypatch: pytest.MonkeyPatch, process: Process, originals: dict[str, Any], work: Callable[[], None]
) -> bool:
    """Do *work* in a process that dies; return whether it died."""
    with monkeypatch.context() as patched:
        for name, original in originals.items():

            def call(*given: Any, original: Any = original, **options: Any) -> Any:
                return process.call(original, *given, **options)

            patched.setattr(Collection, name, call)
        try:
            work()
        except Killed:
            return True
    return False


def test_a_paused_webhook_keeps_replays_until_it_is_resumed(admin: str, receiver: Receiver) -> None:
    webhook = add_webhook(receiver.url, paused=True)
    wiring.deliveries().record(webhook.id, [happening(1)])
    end(webhook, Result(1, status=500), Decision(Status.DEAD))
    assert replay(admin, {}, 1).json["skipped"] == 0
    wake(webhook)
    assert (sequences(receiver), woken()) == ([], 0)
    assert ask("POST", f"/api/webhooks/{webhook.id}/resume", token=admin).status == 200
    wake(webhook)
    assert sequences(receiver) == [1]


@pytest.mark.parametrize("role", [Role.USER, Role.OFFICER, Role.SERVICE])
def test_only_administrators_replay_many(admin: str, role: Role) -> None:
    died(add_webhook())
    assert replay(signed_in("other", role), {}, 1).status == 403
    assert replay(admin, {}, 1).status == 200
