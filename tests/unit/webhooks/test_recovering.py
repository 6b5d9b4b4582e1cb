"""Recoveries: in order of sequence, once each, also when processes die; and pages that any answer fits in."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from pymongo.collection import Collection

from chalicelib.core.web.roles import Role
from chalicelib.webhooks import wiring
from chalicelib.webhooks.models import Reason
from chalicelib.webhooks.shown import Recover
from tests.support.gateway import ask
from tests.support.queue import Killed
from tests.support.receiver import Receiver
from tests.support.users import signed_in
from tests.unit.webhooks.build import add_webhook, happening
from tests.unit.webhooks.test_archive import died
from tests.unit.webhooks.test_jobs import sequences
from tests.unit.webhooks.test_kills import Process
from tests.unit.webhooks.test_serve import wake

SINCE = "2020-01-01T00:00:00Z"
#: What a recovery asks of MongoDB.
_CALLS = ("count_documents", "find", "update_many")


@pytest.fixture
def admin(users: Any, stores: Any) -> str:
    del users, stores
    return signed_in("admin-1", Role.ADMIN)


def test_an_enabled_webhook_gets_what_is_recovered_in_order(admin: str, receiver: Receiver) -> None:
    # Given what happened while the webhook was disabled, and what happens after
    webhook = add_webhook(receiver.url)
    path = f"/api/webhooks/{webhook.id}"
    assert ask("PATCH", path, {"enabled": False}, token=admin).status == 200
    wiring.deliveries().record(webhook.id, [happening(each) for each in range(1, 8)], Reason.DISABLED)
    assert ask("POST", f"{path}/recover", {"since": SINCE}, token=admin).json["code"] == "webhook-disabled"
    assert ask("PATCH", path, {"enabled": True}, token=admin).status == 200
    wake(webhook)
    assert sequences(receiver) == []
    # When
    counted = ask("POST", f"{path}/recover", {"since": SINCE, "dryRun": True}, token=admin).json["count"]
    assert ask("POST", f"{path}/recover", {"since": SINCE, "expectedCount": counted}, token=admin).status == 200
    wiring.deliveries().record(webhook.id, [happening(8)])
    wake(webhook)
    # Then
    assert sequences(receiver) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_recovery_called_twice_sends_nothing_twice(admin: str, receiver: Receiver) -> None:
    webhook = add_webhook(receiver.url)
    died(webhook, 3)
    path, asked = f"/api/webhooks/{webhook.id}/recover", {"since": SINCE}
    for key in ("k-1", "k-1", "k-2"):
        assert ask("POST", path, asked, token=admin, headers={"Idempotency-Key": key}).status == 200
        wake(webhook)
    assert sequences(receiver) == [1, 2, 3]


def test_a_recovery_survives_a_death_at_each_call(
    admin: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat under the same operation does the rest."""
    monkeypatch.setattr("chalicelib.webhooks.archive.STEP", 2)
    dies_at, dead = 0, True
    while dead:
        dies_at += 1
        for after in (False, True):
            receiver.received.clear()
            webhook, process = add_webhook(receiver.url), Process(dies_at, after=after)
            died(webhook, 5)
            asked = Recover(since=datetime(2020, 1, 1, tzinfo=UTC), expected_count=5)
            with monkeypatch.context() as patched:
                for name in _CALLS:
                    patched.setattr(Collection, name, through(process, getattr(Collection, name)))
                dead = killed(partial(recover, webhook.id, asked))
            assert recover(webhook.id, asked) == 5
            wake(webhook)
            assert sequences(receiver) == [1, 2, 3, 4, 5], (dies_at, after)
    assert dies_at > 6


def recover(webhook_id: str, asked: Recover) -> int:
    return wiring.archive().recover(webhook_id, asked, "op-1", lambda: True).count


def through(process: Process, call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **options: process.call(call, *given, **options)


def killed(work: Callable[[], Any]) -> bool:
    """Do *work*; return whether the process died."""
    try:
        work()
    except Killed:
        return True
    return False


@pytest.mark.parametrize("answer", ["\x00", "\ufffd", "\U0001f600", '"', "\u2028"])
def test_answers_of_any_bytes_fit_in_a_page(admin: str, stores: Any, answer: str) -> None:
    webhook = add_webhook()
    (id_,) = died(webhook)
    attempts = [
        {"id": str(each), "at": datetime.now(UTC), "trigger": "schedule", "answer": answer * 1024} for each in range(50)
    ]
    found = stores.deliveries.find_one({"_id": id_}) | {"attempts": attempts}
    copies = [found | {"_id": f"dlv_{each:040x}", "sequence": each + 2} for each in range(199)]
    stores.deliveries.insert_many(copies)
    for path in ("/api/deliveries", f"/api/webhooks/{webhook.id}/deliveries", f"/api/webhooks/{webhook.id}/statement"):
        page = ask("GET", path, token=admin, query={"limit": "200"})
        assert (len(page.json["items"]), len(page.text) < 200_000) == (200, True)
    assert len(ask("GET", f"/api/deliveries/dlv_{0:040x}", token=admin).text.encode()) < 5_000_000
