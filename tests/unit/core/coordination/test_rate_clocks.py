"""A process whose clock is wrong takes no token too many, and keeps nobody from a token."""

from collections.abc import Callable
from time import time
from typing import Any

import pytest

from chalicelib.core.coordination import wiring
from chalicelib.core.coordination.rates import Limit, Rates
from chalicelib.core.stores import clients
from chalicelib.core.stores.dates import ServerClock

#: Half an hour each, so that no token comes back while a slow test runs.
TWO = Limit(2, 3_600_000)
MINUTES = 60
INTERVAL_MS = 1_800_000
#: The date of an answer is cut to a second; more on a busy machine.
SLACK_MS = 30_000

NewProcess = Callable[[float], Rates]


@pytest.fixture
def process(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> NewProcess:
    """Return a function that makes the rates of a new process, whose clock is ahead by seconds."""
    # A new process makes clients of its own.
    monkeypatch.setattr(clients, "aws", clients.aws.make)
    monkeypatch.setattr(clients, "table", clients.table.make)

    def make(ahead_seconds: float) -> Rates:
        clock = ServerClock(lambda: time() + ahead_seconds)
        monkeypatch.setattr(clients, "dynamodb_clock", lambda: clock)
        return wiring.rates.make()

    return make


def taken(rates: Rates, key: str) -> int:
    return sum(rates.take(key, TWO).ok for _ in range(5))


@pytest.mark.parametrize("key", ["first call is the take", "known after another call"])
def test_process_an_hour_ahead_takes_no_more_than_all_tokens(process: NewProcess, key: str) -> None:
    right, ahead = process(0), process(60 * MINUTES)
    if key.startswith("known"):
        ahead.take("another", TWO)
    assert taken(right, key) == 2
    assert taken(ahead, key) == 0


def test_process_ahead_keeps_nobody_waiting_longer(process: NewProcess) -> None:
    right, ahead = process(0), process(60 * MINUTES)
    assert ahead.take("key", TWO).ok
    taken(right, "key")
    assert right.take("key", TWO).retry_after_ms < INTERVAL_MS + SLACK_MS


def test_process_behind_is_refused_no_longer_than_others(process: NewProcess) -> None:
    right, behind = process(0), process(-60 * MINUTES)
    assert taken(right, "key") == 2
    waits_ms = behind.take("key", TWO).retry_after_ms
    assert abs(waits_ms - INTERVAL_MS) < SLACK_MS


def test_process_behind_gets_a_token_at_its_first_call(process: NewProcess) -> None:
    # Given two tokens left: the last one is due to the second, to which a wrong clock is mended
    right, behind = process(0), process(-120 * MINUTES)
    three = Limit(3, 3_600_000)
    right.take("key", three)
    assert behind.take("key", three).ok
