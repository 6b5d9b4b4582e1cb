"""A disbursement moves the money once, however many callers ask and however many processes die.

Shown by many callers for the same applications while the paying processes are killed.
"""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import requests

from chalicelib.core.stores.dynamodb import Table
from chalicelib.ledger.store import LedgerStore
from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.client import Client, at_once, json_of
from tests.support.records import DOC, TrackedRecords
from tests.support.stack import STAGE
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

APPLICATIONS, LEDGER = "/api/applications", "/api/ledger"
APPROVED, TOGETHER = 20, 10
#: So many processes are killed at the same time.
AT_ONCE = 2
#: A cold start takes seconds while many instances start.
PATIENCE_SECONDS = 240
#: Every so many callers, a caller uses the gateway directly, past the limit on instances.
PAST_THE_FRONT = 20
#: Statuses after which a caller repeats the call: the process died, or no turn came up in time.
AGAIN = {429, 502, 503, 504}


class Payers:
    """Callers who repeat a disbursement until it succeeds, and a count of the statuses they got."""

    def __init__(self, stack: Stack, admin: Client) -> None:
        self.clients = [admin, admin.at(stack.api_url)]
        self.statuses: Counter[int] = Counter()

    def pay(self, number: int, application_id: str) -> dict[str, Any]:
        """Repeat the disbursement until it succeeds; return the application."""
        client = self.clients[number % PAST_THE_FRONT == 0]
        deadline = monotonic() + PATIENCE_SECONDS
        while (answer := client.post(f"{APPLICATIONS}/{application_id}/disburse")).status_code in AGAIN:
            self.statuses[answer.status_code] += 1
            assert monotonic() < deadline, f"{answer.text}, after {self.statuses}"
            # A random pause, as among independent callers.
            sleep(random.uniform(0.1, 1))
        self.statuses[answer.status_code] += 1
        paid: dict[str, Any] = json_of(answer)
        return paid


def test_racing_disbursements_pay_once_while_processes_are_killed(
    stack: Stack, admin: Client, tracked: TrackedRecords, figure: Figure
) -> None:
    rounds, rng, payers = times(10), random.Random(11), Payers(stack, admin)
    killed, seconds = 0, list[float]()
    for _ in range(rounds):
        # Given approved applications
        amounts = {_approved(admin, amount): amount for amount in rng.sample(range(1, 10**9), APPROVED)}
        wanted = [application_id for application_id in amounts for _ in range(TOGETHER)]
        rng.shuffle(wanted)
        # And warm instances: a hundred cold starts at once are out of scope
        at_once([partial(client.get, f"{APPLICATIONS}/{wanted[0]}") for client in payers.clients * 10])
        # When many callers disburse each application, and processes are killed meanwhile
        began = monotonic()
        with _kills_after_payments(stack, rng) as kills:
            paid = at_once([partial(payers.pay, *numbered) for numbered in enumerate(wanted)])
        killed, seconds = killed + len(kills), [*seconds, monotonic() - began]
        # Then all callers of an application get the same answer, and the ledger has a single entry with its amount
        assert {answer["applicationId"]: answer["version"] for answer in paid} == dict.fromkeys(amounts, 3)
        assert {(answer["status"], answer["version"]) for answer in paid} == {("disbursed", 3)}
        entries = [entry for entry in _entries(admin) if entry["applicationId"] in amounts]
        assert sorted((entry["applicationId"], entry["amountMinor"]) for entry in entries) == sorted(amounts.items())
        assert {(entry["kind"], entry["currency"]) for entry in entries} == {("disbursement", "EUR")}
        assert sum(entry["amountMinor"] for entry in entries) == sum(amounts.values())
        _assert_ledger_verifies(admin)
        # And lists and histories agree
        tracked.wait_until_projected(list(amounts))
    assert killed > 0
    figure(
        "disbursed while processes were killed",
        f"{rounds} rounds of {APPROVED} applications, {TOGETHER} callers each: all paid out once, the chain whole; "
        f"{killed} processes killed, {payers.statuses[502]} calls cut off, {payers.statuses[503]} refused with 503, "
        f"{payers.statuses[429]} with 429; all paid after {min(seconds):.1f} to {max(seconds):.1f} s",
    )


def test_a_payment_of_a_killed_process_is_made_once(stack: Stack, admin: Client, figure: Figure) -> None:
    kills, cut_off, ledger = times(100), 0, _ledger(stack)
    amounts: dict[str, int] = {}
    with ThreadPoolExecutor(1) as pool:
        for number in range(kills):
            # Given an approved application, and one process
            eventually(lambda: admin.get("/api/sessions/current").status_code == 200)
            application_id = _approved(admin, number + 1)
            amounts[application_id] = number + 1
            paid, pids = ledger.head().seq, stack.workers(f"holdfast-{STAGE}-api")
            # When the process is killed as soon as the ledger has the entry
            path = f"{APPLICATIONS}/{application_id}/disburse"
            first = pool.submit(admin.post, path)
            eventually(partial(_moved, ledger, paid), every_seconds=0)
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            cut_off += first.result().status_code == 502
            # Then a repeated call gets the paid application
            again = json_of(eventually(partial(_answered, admin, path)))
            assert (again["status"], again["version"]) == ("disbursed", 3)
    # And the ledger has a single entry for each
    entries = [entry for entry in _entries(admin) if entry["applicationId"] in amounts]
    assert sorted((entry["applicationId"], entry["amountMinor"]) for entry in entries) == sorted(amounts.items())
    _assert_ledger_verifies(admin)
    assert cut_off > 0
    figure("processes killed right after they paid", f"{kills}, {cut_off} before they could say so; each paid once")


def _answered(admin: Client, path: str) -> requests.Response | None:
    answer = admin.post(path)
    return None if answer.status_code in AGAIN else answer


def _moved(ledger: LedgerStore, seq: int) -> bool:
    return ledger.head().seq > seq


def _ledger(stack: Stack) -> LedgerStore:
    return LedgerStore(Table(stack.client("dynamodb"), f"holdfast-{STAGE}-ledger"))


def _approved(admin: Client, amount_minor: int) -> str:
    new = {**DOC, "amountMinor": amount_minor, "status": "submitted"}
    application_id: str = json_of(admin.post(APPLICATIONS, new), 201)["applicationId"]
    json_of(admin.call("PUT", f"{APPLICATIONS}/{application_id}", {"version": 1, "status": "approved"}))
    return application_id


@contextmanager
def _kills_after_payments(stack: Stack, rng: random.Random) -> Iterator[list[int]]:
    """Within the block, kill processes of the API after every new payment or two; yield the list of killed ids.

    So a process may die between a payment and its answer, or in the middle of a payment. Kills follow payments, so the
    work goes on however slowly new processes start.
    """
    over, kills = threading.Event(), list[int]()
    ledger = _ledger(stack)

    def run() -> None:
        paid = ledger.head().seq
        while not over.wait(0.01):
            if ledger.head().seq >= paid + rng.randint(1, 2):
                workers = [pid for pid in stack.workers(f"holdfast-{STAGE}-api") if _has_worked(pid)]
                for pid in rng.sample(workers, min(AT_ONCE, len(workers))):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        kills.append(pid)
                paid = ledger.head().seq

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield kills
        finally:
            over.set()
        running.result()


def _has_worked(pid: int) -> bool:
    """Tell whether a process has connections; at the kill of a starting process the emulator ends all others."""
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).net_connections())
    return False


def _entries(admin: Client) -> list[dict[str, Any]]:
    """Return the whole ledger."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = json_of(admin.get(f"{LEDGER}?limit=100{cursor and f'&cursor={cursor}'}"))
        found += page["items"]
        if not page["nextCursor"]:
            return found
        cursor = quote(page["nextCursor"])


def _assert_ledger_verifies(admin: Client) -> None:
    """Assert that the ledger verifies and has every entry."""
    found = json_of(admin.get(f"{LEDGER}/verify"))
    while found["nextCursor"]:
        found = json_of(admin.get(f"{LEDGER}/verify?cursor={quote(found['nextCursor'])}"))
    assert found == {**found, "ok": True, "firstBrokenSeq": None, "entries": len(_entries(admin))}
