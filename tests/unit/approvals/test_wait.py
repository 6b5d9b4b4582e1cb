import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from chalicelib.approvals.models import Status
from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.approvals.store import ApprovalStore
from chalicelib.approvals.wait import Polling
from chalicelib.core.errors import Unavailable
from infra.local.processes.mongod import Mongod
from tests.support.mongodb_commands import recording_commands
from tests.unit.approvals.build import PERSON, ago, answer, cancel, put

Mongo = Database[dict[str, Any]]
SETTINGS = ApprovalSettings(first_poll_ms=100, slowest_poll_ms=400, poll_growth=2)


class FakeTime:
    """A clock that advances by each pause, and runs the action planned for that pause."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses_ms: list[int] = []
        self.at_pause: dict[int, Callable[[], object]] = {}

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses_ms.append(round(seconds * 1000))
        self.now += seconds
        self.at_pause.get(len(self.pauses_ms), lambda: None)()


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def polling(approvals: ApprovalStore, time: FakeTime) -> Polling:
    return Polling(approvals, SETTINGS, time.clock, time.pause)


def test_an_answer_given_before_the_wait_is_not_missed(
    approvals: ApprovalStore, polling: Polling, time: FakeTime
) -> None:
    # Given
    request_id = put(approvals)
    unaware = approvals.get(request_id)
    answered = answer(approvals, request_id, "approve", PERSON)
    # When
    seen = polling.wait(unaware, 25_000)
    # Then
    assert seen.approval == answered
    assert time.pauses_ms == [100]


def test_a_settled_request_is_returned_without_a_query(mongod: Mongod, approvals: ApprovalStore) -> None:
    request_id = put(approvals)
    answer(approvals, request_id, "approve", PERSON)
    seen = approvals.get(request_id)
    with recording_commands(mongod.uri) as (client, sent):
        store = ApprovalStore(client.get_default_database().approvals, SETTINGS)
        assert Polling(store, SETTINGS).wait(seen, 25_000) is seen
        assert sent.names() == []


def test_an_answer_is_seen_at_the_next_poll(approvals: ApprovalStore, polling: Polling, time: FakeTime) -> None:
    request_id = put(approvals)
    time.at_pause[3] = lambda: answer(approvals, request_id, "reject", PERSON)
    seen = polling.wait(approvals.get(request_id), 25_000)
    assert (seen.approval.status, seen.approval.action) == (Status.RESOLVED, "reject")
    assert time.pauses_ms == [100, 200, 400]


def test_pauses_grow_to_the_slowest_and_end_with_the_wait(
    approvals: ApprovalStore, polling: Polling, time: FakeTime
) -> None:
    request_id = put(approvals)
    seen = polling.wait(approvals.get(request_id), 1_650)
    assert time.pauses_ms == [100, 200, 400, 400, 400, 150]
    assert not seen.settled
    assert not approvals.get(request_id).settled


@pytest.mark.parametrize("wait_ms", [0, -500])
def test_a_wait_without_time_sends_no_query(
    approvals: ApprovalStore, polling: Polling, time: FakeTime, wait_ms: int
) -> None:
    seen = approvals.get(put(approvals))
    assert polling.wait(seen, wait_ms) is seen
    assert time.pauses_ms == []


def test_a_wait_past_the_deadline_records_the_timeout(
    approvals: ApprovalStore, polling: Polling, time: FakeTime, mongodb: Mongo
) -> None:
    # Given
    request_id = put(approvals, 1_000)
    unaware = approvals.get(request_id)
    mongodb.approvals.update_one({"_id": request_id}, {"$set": {"expiresAt": ago(seconds=1)}})
    # When
    seen = polling.wait(unaware, 25_000)
    # Then
    assert seen.approval.status is Status.TIMEOUT
    assert approvals.settled(request_id) is not None
    assert sum(time.pauses_ms) <= 1_000


def test_a_clock_ahead_of_the_server_does_not_end_the_wait(
    approvals: ApprovalStore, polling: Polling, time: FakeTime
) -> None:
    """The server's clock alone decides the timeout."""
    # Given
    request_id = put(approvals, 500)
    # The local clock passes the deadline five times over; the server's hardly moves.
    time.at_pause[6] = lambda: answer(approvals, request_id, "approve", PERSON)
    # When
    seen = polling.wait(approvals.get(request_id), 25_000)
    # Then
    assert seen.approval.status is Status.RESOLVED
    assert len(time.pauses_ms) == 6


def test_a_cancelled_request_ends_the_wait(approvals: ApprovalStore, polling: Polling, time: FakeTime) -> None:
    request_id = put(approvals)
    time.at_pause[2] = lambda: cancel(approvals, request_id, None)
    assert polling.wait(approvals.get(request_id), 25_000).approval.status is Status.CANCELLED


def test_a_waiter_gets_the_answer_soon_on_the_real_clock(approvals: ApprovalStore) -> None:
    # Given
    request_id = put(approvals)
    person = threading.Timer(0.15, answer, (approvals, request_id, "approve", PERSON))
    waiter = Polling(approvals, ApprovalSettings())
    # When
    began = monotonic()
    person.start()
    seen = waiter.wait(approvals.get(request_id), 25_000)
    # Then
    assert seen.approval.status is Status.RESOLVED
    assert monotonic() - began < 5
    person.join()


def test_a_wait_ends_in_the_recorded_timeout_on_the_real_clock(approvals: ApprovalStore) -> None:
    request_id = put(approvals, 300)
    seen = Polling(approvals, ApprovalSettings()).wait(approvals.get(request_id), 25_000)
    assert seen.approval.status is Status.TIMEOUT
    recorded = approvals.settled(request_id)
    assert recorded
    assert recorded.approval == seen.approval


class KillableStore(NamedTuple):
    """A store on a server that the test may kill."""

    server: Mongod
    approvals: ApprovalStore
    collection: Collection[dict[str, Any]]


@pytest.fixture
def killable(tmp_path: Path) -> Iterator[KillableStore]:
    server = Mongod(tmp_path)
    server.start()
    uri = f"{server.uri}&serverSelectionTimeoutMS=200&timeoutMS=1000"
    with MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        collection = client.get_default_database().approvals
        yield KillableStore(server, ApprovalStore(collection, SETTINGS), collection)
    server.stop()


def test_a_wait_survives_a_restart_of_mongodb(killable: KillableStore, time: FakeTime) -> None:
    # Given
    request_id = put(killable.approvals)

    def come_back() -> None:
        killable.server.start()
        answer(killable.approvals, request_id, "approve", PERSON)

    time.at_pause = {2: killable.server.kill, 4: come_back}
    # When
    polling = Polling(killable.approvals, SETTINGS, time.clock, time.pause)
    seen = polling.wait(killable.approvals.get(request_id), 25_000)
    # Then
    assert seen.approval.status is Status.RESOLVED


def test_a_wait_retries_while_mongodb_is_down_at_the_deadline(killable: KillableStore, time: FakeTime) -> None:
    # Given
    request_id = put(killable.approvals, 700)
    unaware = replace(killable.approvals.get(request_id), remaining_ms=700)
    killable.collection.update_one({"_id": request_id}, {"$set": {"expiresAt": ago(seconds=1)}})
    time.at_pause = {2: killable.server.kill, 5: killable.server.start}
    # When
    seen = Polling(killable.approvals, SETTINGS, time.clock, time.pause).wait(unaware, 25_000)
    # Then
    assert seen.approval.status is Status.TIMEOUT
    assert time.pauses_ms == [100, 200, 400, 400, 400]


def test_a_wait_raises_unavailable_if_mongodb_is_down_at_its_end(killable: KillableStore, time: FakeTime) -> None:
    # Given
    request_id = put(killable.approvals)
    waiting = killable.approvals.get(request_id)
    time.at_pause = {1: killable.server.kill}
    # When
    with pytest.raises(Unavailable):
        Polling(killable.approvals, SETTINGS, time.clock, time.pause).wait(waiting, 300)
    # Then
    killable.server.start()
    assert killable.approvals.get(request_id).approval == waiting.approval
