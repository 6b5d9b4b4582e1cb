"""Activations while functions are killed each second, the mail service fails, and the database restarts."""

import random
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from pymongo.database import Database

from infra.local.processes.mongod import Mongod
from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.kill import kill
from tests.support.ses import MailServer
from tests.support.stack import NewPerson
from tests.support.workloads.activation import Workload

pytestmark = pytest.mark.stack

#: All leads of a full run, in three activations.
_LEADS, _ACTIVATIONS = 10_000, 3
#: The watchers in each of the four ways.
_WATCHERS = 5
#: The share of mails that fail, and the seconds of a full run in which functions are killed.
_FAILING, _KILLED_SECONDS = 0.05, 300


@pytest.fixture(scope="module")
def ses(stack: Stack) -> Iterator[MailServer]:
    with MailServer() as server:
        server.fail(_FAILING, random.Random(7))
        stack.redeploy({"AWS_ENDPOINT_URL_SES": server.url, "MAIL_PER_SECOND": "500"})
        yield server
        stack.redeploy({})


@pytest.fixture
def workload(person: NewPerson, database: Database[dict[str, Any]], ses: MailServer) -> Workload:
    return Workload(person("officer").client, database, ses, times(_LEADS) // _ACTIVATIONS)


def test_killed_functions_count_each_lead_once(
    stack: Stack, mongod: Mongod, workload: Workload, ses: MailServer, figure: Figure
) -> None:
    began, rng, kills = monotonic(), random.Random(1), 0
    for _ in range(_ACTIVATIONS):
        workload.act(rng)
    watchers = workload.watch(_WATCHERS)
    pause, seconds = threading.Event(), times(_KILLED_SECONDS)
    for second in range(seconds):
        pause.wait(1)
        kills += kill(stack, rng.choice(("activation", "mail")))
        if second == seconds // 2:
            mongod.kill()
            mongod.restart()
    sums = workload.check()
    for watcher in watchers:
        watcher.check(workload.last(watcher))
    figure(
        "activations with killed functions",
        f"{kills} killed, {dict(sums)}, {len(ses.taken)} mails taken, after {monotonic() - began:.0f} s",
    )
