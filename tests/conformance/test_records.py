"""Records stay whole while the processes that commit them die, and while MongoDB is gone."""

import math
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic, sleep

import pytest
import requests

from chalicelib.core.runtime import ids
from infra.local.processes.mongod import Mongod
from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.client import Client, told
from tests.support.kill import held, kill
from tests.support.records import DOC, Followed, paused
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

APPLICATIONS = "/api/applications"
#: Longer than the stream needs to try again, at any scale.
DOWN_SECONDS = max(4, times(10))


def test_what_was_committed_by_a_process_that_died_before_it_showed_it_is_shown(
    stack: Stack, admin: Client, followed: Followed, figure: Figure
) -> None:
    kills, cut_off, unshown = times(100), 0, 0
    lives: dict[str, int] = {}
    with paused(stack, "project"), ThreadPoolExecutor(1) as pool:
        for number in range(kills):
            # Given a process that is there, and a change: a new record, its next version, or its end
            record_id = list(lives)[-1] if number % 3 else ids.new_id()
            lives[record_id] = lives.get(record_id, 0) + 1
            eventually(lambda: admin.get("/api/sessions/current").status_code == 200)
            with held(followed.copies, record_id) as copy:
                # When it is killed after its commit, at the door of the view
                calls = (_create, _change, _delete)
                answer = pool.submit(calls[number % 3], admin, record_id)
                copy.until_wanted()
                assert kill(stack, "api")
                copy.refuse()
            cut_off += answer.result().status_code == 502
            # Then it is committed, and not shown
            assert followed.version(record_id) == lives[record_id]
            unshown += followed.behind([record_id])[0] == {record_id}
    # And once the stream has caught up, truth, view and history agree on every record and version
    followed.caught_up(list(lives))
    figure(
        "processes killed between commit and view",
        f"{kills}, {cut_off} before they could answer, {unshown} with the view behind; all of it shown and written",
    )
    assert unshown == kills
    assert cut_off > 0


def _create(caller: Client, record_id: str) -> requests.Response:
    return caller.post(APPLICATIONS, {**DOC, "applicationId": record_id})


def _change(caller: Client, record_id: str) -> requests.Response:
    return caller.call("PUT", f"{APPLICATIONS}/{record_id}", {"version": 1, "termMonths": 2})


def _delete(caller: Client, record_id: str) -> requests.Response:
    return caller.delete(f"{APPLICATIONS}/{record_id}?version=2")


class Writer:
    """A service that changes a record again and again. Each change must be answered as committed."""

    def __init__(self, service: Client) -> None:
        self._service, self._over = service, threading.Event()
        self.record_id = told(service.post(APPLICATIONS, DOC), 201)["applicationId"]
        #: How long each change took.
        self.took_ms: list[float] = []

    @property
    def version(self) -> int:
        """What the record is at."""
        return 1 + len(self.took_ms)

    def run(self) -> None:
        """Change it until `stop`."""
        while not self._over.is_set():
            began, change = monotonic(), {"version": self.version, "termMonths": self.version + 1}
            changed = told(self._service.call("PUT", f"{APPLICATIONS}/{self.record_id}", change))
            assert changed["version"] == self.version + 1
            self.took_ms.append((monotonic() - began) * 1000)

    def stop(self) -> None:
        """Let the change that is under way be the last."""
        self._over.set()


@pytest.fixture
def services(stack: Stack, admin: Client, person: NewPerson) -> list[Client]:
    """Callers with API keys, who may change applications."""
    names = [person("service", "officer").username for _ in range(6)]
    keys = [told(admin.post(f"/api/users/{name}/keys", {"name": "batch"}), 201)["key"] for name in names]
    return [Client(stack.url, key) for key in keys]


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_services_with_keys_go_on_changing_records_while_mongodb_is_down(
    services: Sequence[Client], mongod: Mongod, followed: Followed, figure: Figure, how: str
) -> None:
    # Given services at work
    writers = [Writer(service) for service in services]
    record_ids = [writer.record_id for writer in writers]
    with _working(writers):
        eventually(lambda: all(writer.version > 50 for writer in writers))
        before = {writer.record_id: writer.version for writer in writers}
        # When the database is away for a while
        _take_down(mongod, how)
        sleep(DOWN_SECONDS)
        during = {writer.record_id: writer.version for writer in writers}
        _bring_back(mongod, how)
        # Then nobody has noticed, and the view comes to what was committed meanwhile, while they go on
        back = monotonic()
        eventually(
            lambda: all(followed.shown(record_id)["version"] >= during[record_id] for record_id in record_ids),
            deadline_seconds=60,
        )
        caught_up_seconds = monotonic() - back
    followed.caught_up(record_ids)
    for writer in writers:
        numbers = [(version.doc or {})["termMonths"] for version in followed.versions(writer.record_id)]
        assert numbers == list(range(1, writer.version + 1))
    meanwhile = [ms for writer in writers for ms in writer.took_ms[before[writer.record_id] : during[writer.record_id]]]
    usual = [ms for writer in writers for ms in writer.took_ms[20 : before[writer.record_id]]]
    assert len(meanwhile) > len(writers)
    figure(
        f"changes by services while mongod was {how} for {DOWN_SECONDS} s",
        f"{len(meanwhile)}, all answered 200; p50 {_at(50, meanwhile)}, p95 {_at(95, meanwhile)}, longest "
        f"{_at(100, meanwhile)} ms, before that {_at(50, usual)}, {_at(95, usual)}, {_at(100, usual)} ms; "
        f"all shown and written {caught_up_seconds:.1f} s after it was back",
    )


@contextmanager
def _working(writers: Sequence[Writer]) -> Iterator[None]:
    """Have all of them at work for the length of the block; raise what went wrong for one of them."""
    with ThreadPoolExecutor(len(writers)) as pool:
        running = [pool.submit(writer.run) for writer in writers]
        try:
            yield
        finally:
            for writer in writers:
                writer.stop()
        for work in running:
            work.result()


def _take_down(mongod: Mongod, how: str) -> None:
    if how == "killed":
        mongod.kill()
    else:
        os.kill(mongod.pid, signal.SIGSTOP)


def _bring_back(mongod: Mongod, how: str) -> None:
    if how == "killed":
        mongod.restart()
    else:
        os.kill(mongod.pid, signal.SIGCONT)


def _at(percent: int, values: Sequence[float]) -> int:
    """Return the percentile, rounded."""
    return round(sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)])
