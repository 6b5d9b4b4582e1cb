"""While MongoDB is down, callers with API keys still commit.

Shown by services that change records while mongod is killed or paused.
"""

import math
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from time import monotonic, sleep

import pytest

from infra.local.processes.mongod import Mongod
from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.client import Client, at_once, json_of, problem_of
from tests.support.records import DOC, TrackedRecords
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

APPLICATIONS = "/api/applications"
#: Longer than the stream needs to try again, at any scale.
DOWN_SECONDS = max(4, times(10))


class Writer:
    """A service that changes a record in a loop. Each change must be answered as committed."""

    def __init__(self, service: Client) -> None:
        self._service, self._over = service, threading.Event()
        self.record_id = json_of(service.post(APPLICATIONS, DOC), 201)["applicationId"]
        #: How long each change took.
        self.took_ms: list[float] = []

    @property
    def version(self) -> int:
        """The record's current version."""
        return 1 + len(self.took_ms)

    def run(self) -> None:
        """Change the record until `stop`."""
        while not self._over.is_set():
            began, change = monotonic(), {"version": self.version, "termMonths": self.version + 1}
            changed = json_of(self._service.call("PUT", f"{APPLICATIONS}/{self.record_id}", change))
            assert changed["version"] == self.version + 1
            self.took_ms.append((monotonic() - began) * 1000)

    def stop(self) -> None:
        """End the loop after the current change."""
        self._over.set()


@pytest.fixture
def services(stack: Stack, admin: Client, person: NewPerson) -> list[Client]:
    """Callers with API keys and the right to change applications."""
    names = [person("service", "officer").username for _ in range(6)]
    keys = [json_of(admin.post(f"/api/users/{name}/keys", {"name": "batch"}), 201)["key"] for name in names]
    return [Client(stack.url, key) for key in keys]


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_services_with_keys_commit_while_mongodb_is_down(
    services: Sequence[Client], mongod: Mongod, tracked: TrackedRecords, figure: Figure, how: str
) -> None:
    # Given services at work
    writers = [Writer(service) for service in services]
    record_ids = [writer.record_id for writer in writers]
    with _working(writers):
        eventually(lambda: all(writer.version > 50 for writer in writers), deadline_seconds=120)
        before = {writer.record_id: writer.version for writer in writers}
        # When mongod is down for a while
        _take_down(mongod, how)
        sleep(DOWN_SECONDS)
        during = {writer.record_id: writer.version for writer in writers}
        _bring_back(mongod, how)
        # Then every change succeeded, and the view catches up while the services go on
        back = monotonic()
        eventually(
            lambda: all(tracked.read_copy(record_id)["version"] >= during[record_id] for record_id in record_ids),
            deadline_seconds=60,
        )
        caught_up_seconds = monotonic() - back
    tracked.wait_until_projected(record_ids)
    for writer in writers:
        numbers = [(version.doc or {})["termMonths"] for version in tracked.versions(writer.record_id)]
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
    """Run all *writers* within the block; raise the first error of any writer."""
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


def test_a_key_works_and_a_session_gets_503_without_mongodb(
    stack: Stack, admin: Client, person: NewPerson, mongod: Mongod
) -> None:
    # Given a service with a key and the right to create users
    who = person("service", "admin")
    key = json_of(admin.post(f"/api/users/{who.username}/keys", {"name": "batch"}), 201)["key"]
    service = Client(stack.url, key)
    json_of(service.get("/api/users?limit=1"))
    # When
    os.kill(mongod.pid, signal.SIGKILL)
    # Then calls that need DynamoDB alone succeed, also many at once
    names = [f"{who.username}-{number}" for number in range(10)]
    new = [{"username": name, "password": "correct horse battery", "roles": ["user"]} for name in names]
    headers = {"Idempotency-Key": "while-it-is-down"}
    made = at_once([partial(service.post, "/api/users", body) for body in new[1:]])
    assert [answer.status_code for answer in made] == [201] * 9
    first, again = (json_of(service.post("/api/users", new[0], headers=headers), 201) for _ in range(2))
    assert first == again
    # And a call with a session gets 503 with Retry-After
    problem_of(who.client.get("/api/users?limit=1"), 503)
