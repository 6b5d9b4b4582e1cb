"""A breaker refuses calls of a store that was down a moment ago, and lets one probe through at a time."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier, Event
from time import monotonic
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import logs
from chalicelib.core.stores import driver_errors
from chalicelib.core.stores.breaker import Breaker, Down
from chalicelib.core.stores.driver_errors import reaching_mongodb
from infra.local.processes.mongod import Mongod
from tests.support.waiting import eventually


class Ticks:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def breaker(ticks: Ticks) -> Breaker:
    return Breaker("The store", ticks=ticks)


def fail(breaker: Breaker) -> None:
    with pytest.raises(Unavailable, match="The store cannot be reached"), breaker.call():
        raise Down


def refused(breaker: Breaker) -> bool:
    """Make a call that succeeds if it is made; return whether it was refused."""
    try:
        with breaker.call():
            return False
    except Unavailable:
        return True


def test_call_after_a_failure_probes_and_closes_the_breaker(breaker: Breaker) -> None:
    fail(breaker)
    with breaker.call() as probing:
        assert probing
    assert not breaker.is_open


def test_calls_after_a_failed_probe_are_refused_until_the_pause_is_over(breaker: Breaker, ticks: Ticks) -> None:
    fail(breaker)
    fail(breaker)
    with logs.invocation("test") as line:
        assert refused(breaker)
        assert line.counts == {"callsRefusedEarly": 1}
    ticks.now += 0.99
    assert refused(breaker)
    ticks.now += 0.02
    assert not refused(breaker)
    assert not breaker.is_open


def test_pauses_between_probes_grow_to_two_seconds(breaker: Breaker, ticks: Ticks) -> None:
    fail(breaker)
    for longest in (1, 2, 2, 2):
        fail(breaker)
        assert refused(breaker)
        ticks.now += longest + 0.01


def test_one_probe_runs_at_a_time(breaker: Breaker, ticks: Ticks) -> None:
    fail(breaker)
    with breaker.call() as probing:
        assert probing
        assert refused(breaker)
    with breaker.call() as probing:
        assert not probing


def test_probe_that_never_ended_gives_way_to_another(breaker: Breaker, ticks: Ticks) -> None:
    fail(breaker)
    lost = breaker.call()
    assert lost.__enter__()
    ticks.now += 9.9
    assert refused(breaker)
    ticks.now += 0.2
    assert not refused(breaker)


def test_other_errors_pass_and_leave_the_next_call_the_probe(breaker: Breaker, ticks: Ticks) -> None:
    fail(breaker)
    with pytest.raises(ZeroDivisionError), breaker.call():
        raise ZeroDivisionError
    with breaker.call() as probing:
        assert probing


def test_store_that_answered_another_call_meanwhile_is_not_down(breaker: Breaker, ticks: Ticks) -> None:
    slow = breaker.call()
    slow.__enter__()
    ticks.now += 1
    assert not refused(breaker)
    with pytest.raises(Unavailable):
        slow.__exit__(Down, Down(), None)
    assert not refused(breaker)


def test_calls_that_fail_together_count_as_one_failure(breaker: Breaker, ticks: Ticks) -> None:
    calls = [breaker.call() for _ in range(8)]
    for call in calls:
        call.__enter__()
    ticks.now += 2
    for call in calls:
        with pytest.raises(Unavailable):
            call.__exit__(Down, Down(), None)
    assert not refused(breaker)


def test_threshold_counts_failures_without_an_answer_between(ticks: Ticks) -> None:
    breaker = Breaker("The store", threshold=2, ticks=ticks)
    for _ in range(3):
        fail(breaker)
        assert not refused(breaker)
        ticks.now += 1
    for opened in (False, True):
        fail(breaker)
        assert breaker.is_open == opened


@given(st.lists(st.tuples(st.sampled_from(["fine", "down", "error"]), st.floats(0, 5)), max_size=40))
def test_any_sequence_of_calls_ends_in_a_store_that_is_asked_again(steps: list[tuple[str, float]]) -> None:
    ticks = Ticks()
    breaker = Breaker("The store", ticks=ticks)
    for outcome, passed in steps:
        ticks.now += passed
        try:
            with breaker.call():
                if outcome == "down":
                    raise Down
                if outcome == "error":
                    _ = 1 / 0
        except (Unavailable, ZeroDivisionError):
            pass
    ticks.now += 2.01
    assert not refused(breaker)


def test_of_many_threads_one_probes(ticks: Ticks) -> None:
    breaker, asked, hold = Breaker("The store", ticks=ticks), Barrier(8), Event()
    fail(breaker)

    def call(_: int) -> bool:
        asked.wait()
        try:
            with breaker.call() as probing:
                hold.wait(10)
                return probing
        except Unavailable:
            hold.set()
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(call, range(8))) == [False] * 7 + [True]


# --- MongoDB


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Mongod, Any]]:
    """A mongod of the test's own, and the client that probes ask."""
    server = Mongod(tmp_path)
    server.start()
    with MongoClient[dict[str, Any]](server.uri, timeoutMS=1_500, serverSelectionTimeoutMS=1_500) as client:
        opening = Breaker("MongoDB")
        monkeypatch.setattr(driver_errors, "mongodb_breaker", lambda: opening)
        opening.ping = partial(client.holdfast.command, "ping")
        client.holdfast.things.insert_one({"_id": 1})
        yield server, client.holdfast.things
    if server.child.alive:
        os.kill(server.pid, signal.SIGCONT)
    server.stop()


def ask(things: Any) -> float:
    """Read from MongoDB, which is down; return the seconds until the refusal."""
    began = monotonic()
    with pytest.raises(Unavailable), reaching_mongodb():
        things.find_one({})
    return monotonic() - began


def test_paused_mongodb_costs_its_deadline_once(own: tuple[Mongod, Any]) -> None:
    server, things = own
    os.kill(server.pid, signal.SIGSTOP)
    # The signal is on its way, and a thread of a busy machine's mongod may answer until then.
    eventually(lambda: psutil.Process(server.pid).status() == psutil.STATUS_STOPPED)
    assert ask(things) >= 1
    assert driver_errors.mongodb_breaker().is_open
    # A probe, which waits for the answer to a ping alone
    assert 0.3 < ask(things) < 1.4
    assert ask(things) < 0.3
    os.kill(server.pid, signal.SIGCONT)

    def answered() -> bool:
        try:
            with reaching_mongodb():
                return bool(things.find_one({}))
        except Unavailable:
            return False

    eventually(answered)
    assert not driver_errors.mongodb_breaker().is_open


def test_call_after_a_slow_query_is_answered(own: tuple[Mongod, Any]) -> None:
    _, things = own
    with pytest.raises(Unavailable), reaching_mongodb():
        things.find_one({"$where": "sleep(4000) || true"})
    with reaching_mongodb():
        things.find_one({})
    assert not driver_errors.mongodb_breaker().is_open
