"""A disbursement moves the money once, however many callers ask and however many processes die.

Shown by many callers for the same applications while the processes that pay are killed.
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
#: A cold start takes seconds where many want one.
PATIENCE_SECONDS = 240
#: Of so many callers one goes to the gateway itself, where nothing keeps a crowd from having many instances.
PAST_THE_FRONT = 20
#: What a caller may hear who then asks again: a process died, or there was no turn.
AGAIN = {429, 502, 503}


class Payers:
    """Callers who ask until their application is paid out, and what they heard until then."""

    def __init__(self, stack: Stack, admin: Client) -> None:
        self.doors = [admin, admin.at(stack.api_url)]
        self.heard: Counter[int] = Counter()

    def pay(self, number: int, application_id: str) -> dict[str, Any]:
        """Ask until the answer is that it is paid out."""
        client = self.doors[number % PAST_THE_FRONT == 0]
        deadline = monotonic() + PATIENCE_SECONDS
        while (answer := client.post(f"{APPLICATIONS}/{application_id}/disburse")).status_code in AGAIN:
            self.heard[answer.status_code] += 1
            assert monotonic() < deadline, f"{answer.text}, after {self.heard}"
            # In their own time, as callers are.
            sleep(random.uniform(0.1, 1))
        self.heard[answer.status_code] += 1
        paid: dict[str, Any] = json_of(answer)
        return paid


def test_many_callers_pay_each_application_once_while_processes_are_killed(
    stack: Stack, admin: Client, tracked: TrackedRecords, figure: Figure
) -> None:
    rounds, rng, payers = times(10), random.Random(11), Payers(stack, admin)
    killed, seconds = 0, list[float]()
    for _ in range(rounds):
        # Given approved applications
        amounts = {_approved(admin, amount): amount for amount in rng.sample(range(1, 10**9), APPROVED)}
        wanted = [application_id for application_id in amounts for _ in range(TOGETHER)]
        rng.shuffle(wanted)
        # And instances that are there: a hundred cold starts at once are another test's matter
        at_once([partial(client.get, f"{APPLICATIONS}/{wanted[0]}") for client in payers.doors * 10])
        # When many want each of them paid out, and processes are killed meanwhile
        began = monotonic()
        with _killing(stack, rng) as kills:
            paid = at_once([partial(payers.pay, *numbered) for numbered in enumerate(wanted)])
        killed, seconds = killed + len(kills), [*seconds, monotonic() - began]
        # Then all hear the same of each, and the ledger has it once, with its amount
        assert {answer["applicationId"]: answer["version"] for answer in paid} == dict.fromkeys(amounts, 3)
        assert {(answer["status"], answer["version"]) for answer in paid} == {("disbursed", 3)}
        entries = [entry for entry in _entries(admin) if entry["applicationId"] in amounts]
        assert sorted((entry["applicationId"], entry["amountMinor"]) for entry in entries) == sorted(amounts.items())
        assert {(entry["kind"], entry["currency"]) for entry in entries} == {("disbursement", "EUR")}
        assert sum(entry["amountMinor"] for entry in entries) == sum(amounts.values())
        _whole(admin)
        # And lists and histories say so too
        tracked.wait_until_projected(list(amounts))
    assert killed > 0
    figure(
        "disbursed while processes were killed",
        f"{rounds} rounds of {APPROVED} applications, {TOGETHER} callers each: all paid out once, the chain whole; "
        f"{killed} processes killed, {payers.heard[502]} calls cut off, {payers.heard[503]} refused with 503, "
        f"{payers.heard[429]} with 429; all paid after {min(seconds):.1f} to {max(seconds):.1f} s",
    )


def test_a_payment_whose_process_died_right_after_it_is_made_once(stack: Stack, admin: Client, figure: Figure) -> None:
    kills, cut_off, ledger = times(100), 0, _ledger(stack)
    amounts: dict[str, int] = {}
    with ThreadPoolExecutor(1) as pool:
        for number in range(kills):
            # Given an approved application, and one process
            eventually(lambda: admin.get("/api/sessions/current").status_code == 200)
            application_id = _approved(admin, number + 1)
            amounts[application_id] = number + 1
            paid, pids = ledger.head().seq, stack.workers(f"holdfast-{STAGE}-api")
            # When the process dies the moment the ledger has its entry
            path = f"{APPLICATIONS}/{application_id}/disburse"
            first = pool.submit(admin.post, path)
            eventually(partial(_moved, ledger, paid), every_seconds=0)
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            cut_off += first.result().status_code == 502
            # Then whoever asks again hears that it is paid
            again = json_of(eventually(partial(_answered, admin, path)))
            assert (again["status"], again["version"]) == ("disbursed", 3)
    # And the ledger has each once
    entries = [entry for entry in _entries(admin) if entry["applicationId"] in amounts]
    assert sorted((entry["applicationId"], entry["amountMinor"]) for entry in entries) == sorted(amounts.items())
    _whole(admin)
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
def _killing(stack: Stack, rng: random.Random) -> Iterator[list[int]]:
    """For the length of the block, kill processes of the API whenever some more was paid; their ids are in the list.

    So the one that paid may die before it can say so, and others in the middle of it; and however slow the machine
    starts new ones, the work goes on.
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
    """Whether a process has come as far as to ask a store; the emulator ends all others with one that never started."""
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


def _whole(admin: Client) -> None:
    """Walk along the chain, which must be whole and have every entry."""
    found = json_of(admin.get(f"{LEDGER}/verify"))
    while found["nextCursor"]:
        found = json_of(admin.get(f"{LEDGER}/verify?cursor={quote(found['nextCursor'])}"))
    assert found == {**found, "ok": True, "firstBrokenSeq": None, "entries": len(_entries(admin))}
