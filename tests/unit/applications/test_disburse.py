"""Money moves once: repeated and racing calls, a lost lock, a moved ledger head, a killed process."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from chalicelib import ledger
from chalicelib.applications import disburse as module
from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.locks import Locks
from chalicelib.core.records import wiring as records_wiring
from chalicelib.core.stores import clients
from tests.support.concurrency import race
from tests.support.gateway import Answer, Context, ask
from tests.unit.applications.build import approved, at, change, make, moved

Action = Callable[[], object]


def pay(token: str, application: dict[str, Any]) -> Answer:
    return ask("POST", at(application) + "/disburse", token=token)


def entries(admin: str) -> list[dict[str, Any]]:
    answer = ask("GET", "/api/ledger", token=admin, query={"limit": "200"}).json
    assert ask("GET", "/api/ledger/verify", token=admin).json["ok"]
    found: list[dict[str, Any]] = answer["items"]
    return found


@pytest.fixture
def before_guarded(monkeypatch: pytest.MonkeyPatch) -> Callable[[Action], None]:
    """Run an action once, between a payer's read and its guarded write."""
    guarded = Locks.guarded

    def set_up(action: Action) -> None:
        left = iter([action])

        def guarded_late(self: Locks, lease: Any, writes: Any) -> None:
            writes = list(writes)
            if (once := next(left, None)) is not None:
                once()
            guarded(self, lease, writes)

        monkeypatch.setattr(Locks, "guarded", guarded_late)

    return set_up


def test_disbursement_writes_status_and_ledger_entry_together(admin: str) -> None:
    ready = approved(admin)
    paid = pay(admin, ready)
    assert (paid.status, paid.json["status"], paid.json["version"]) == (200, "disbursed", ready["version"] + 1)
    assert paid.headers["ETag"] == f'"{paid.json["version"]}"'
    (entry,) = entries(admin)
    assert (entry["kind"], entry["applicationId"]) == ("disbursement", ready["applicationId"])
    assert (entry["amountMinor"], entry["currency"]) == (ready["amountMinor"], ready["currency"])
    # And the list shows the new status
    listed = ask("GET", "/api/applications", token=admin, query={"status": "disbursed"}).json
    assert listed["items"] == [paid.json]


def test_a_repeated_disbursement_gets_the_same_answer_and_pays_once(admin: str) -> None:
    ready = approved(admin)
    first, second = pay(admin, ready), pay(admin, ready)
    assert (first.status, second.status, second.json) == (200, 200, first.json)
    assert len(entries(admin)) == 1


def test_racing_disbursements_pay_each_application_once(admin: str) -> None:
    ready = [approved(admin, amountMinor=100 + number) for number in range(5)]
    answers = race([partial(pay, admin, one) for one in ready * 8])
    assert [answer.status for answer in answers if isinstance(answer, Answer)] == [200] * 40
    found = entries(admin)
    assert sorted(entry["applicationId"] for entry in found) == sorted(one["applicationId"] for one in ready)
    assert sum(entry["amountMinor"] for entry in found) == 100 + 101 + 102 + 103 + 104


@pytest.mark.parametrize("statuses", [(), ("submitted",), ("submitted", "review"), ("submitted", "rejected")])
def test_an_application_not_approved_is_not_paid(admin: str, statuses: tuple[str, ...]) -> None:
    application = moved(admin, make(admin), *statuses)
    answer = pay(admin, application)
    assert (answer.status, answer.json["currentVersion"]) == (409, application["version"])
    assert entries(admin) == []


def test_a_payer_with_a_broken_lock_sees_the_others_payment(
    admin: str, before_guarded: Callable[[Action], None]
) -> None:
    ready = approved(admin)

    def broken_and_paid_by_another() -> None:
        assert coordination_wiring.locks().break_(f"application#{ready['applicationId']}")
        assert pay(admin, ready).status == 200

    before_guarded(broken_and_paid_by_another)
    assert pay(admin, ready).json["status"] == "disbursed"
    assert len(entries(admin)) == 1


def test_a_payer_with_a_broken_lock_pays_under_a_new_lock(admin: str, before_guarded: Callable[[Action], None]) -> None:
    ready = approved(admin)
    before_guarded(lambda: coordination_wiring.locks().break_(f"application#{ready['applicationId']}"))
    assert pay(admin, ready).status == 200
    assert len(entries(admin)) == 1


def test_a_payer_retries_after_the_ledger_head_moved(admin: str, before_guarded: Callable[[Action], None]) -> None:
    ready, other = approved(admin), approved(admin)
    before_guarded(lambda: pay(admin, other).status == 200)
    assert pay(admin, ready).status == 200
    assert [entry["applicationId"] for entry in entries(admin)] == [other["applicationId"], ready["applicationId"]]


def test_an_application_changed_meanwhile_is_paid_at_its_new_version(
    admin: str, before_guarded: Callable[[Action], None]
) -> None:
    ready = approved(admin)
    before_guarded(lambda: change(admin, ready, applicantName="Countess").status == 200)
    paid = pay(admin, ready)
    assert (paid.json["applicantName"], paid.json["version"]) == ("Countess", ready["version"] + 2)
    assert len(entries(admin)) == 1


def test_a_payer_waits_for_an_expiring_lock_of_a_dead_process(admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = approved(admin)
    coordination_wiring.locks().try_acquire(f"application#{ready['applicationId']}", 300)
    assert pay(admin, ready).status == 200
    assert len(entries(admin)) == 1


def test_a_payer_without_the_lock_gets_503_with_retry_after(admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = approved(admin)
    coordination_wiring.locks().try_acquire(f"application#{ready['applicationId']}", 60_000)
    monkeypatch.setattr(module, "_WAIT_MS", 100)
    answer = pay(admin, ready)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    # And no call waits past its invocation's deadline
    monkeypatch.setattr(module, "_WAIT_MS", 60_000)
    assert ask("POST", at(ready) + "/disburse", token=admin, context=Context(3_100)).status == 503
    assert entries(admin) == []


def test_a_repeat_after_a_lost_answer_pays_once(admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a process that dies after the payment and before the answer
    ready, show = approved(admin), records_wiring.store().show

    def die(_: Any) -> Iterator[None]:
        raise KeyboardInterrupt

    monkeypatch.setattr(records_wiring.store(), "show", die)
    with pytest.raises(KeyboardInterrupt):
        pay(admin, ready)
    monkeypatch.setattr(records_wiring.store(), "show", show)
    # Then
    assert pay(admin, ready).json["status"] == "disbursed"
    assert len(entries(admin)) == 1


def test_a_posting_at_a_stale_ledger_head_is_refused(admin: str) -> None:
    stale = ledger.posting(ledger.Movement("disbursement", "other", 1, "EUR"))
    assert pay(admin, approved(admin)).status == 200
    with pytest.raises(Exception, match="condition"):
        clients.table("ledger").transact(stale)
