"""A waiting call reads until the change, and no longer."""

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.progress.settings import ProgressSettings
from chalicelib.progress.wait import Waiter


class Clock:
    """A clock that only pauses move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waiter(clock: Clock) -> Waiter[int]:
    return Waiter(ProgressSettings(), clock, clock.pause)


def waited(waiter: Waiter[int], readings: list[int | Exception], *, wait_ms: int = 20_000) -> int:
    """Wait for a reading above 1, from 1 on. Each of *readings* comes once."""

    def read() -> int:
        found = readings.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    return waiter.wait("job", read, lambda found: found > 1, 1, wait_ms)


def test_a_waiting_call_ends_with_the_first_change(waiter: Waiter[int], clock: Clock) -> None:
    readings: list[int | Exception] = [1, 1, 2, 3]
    assert waited(waiter, readings) == 2
    assert (readings, len(clock.pauses)) == ([3], 3)


def test_a_change_before_the_call_ends_it_at_once(waiter: Waiter[int], clock: Clock) -> None:
    assert waiter.wait("job", lambda: 9, lambda found: found == 1, 1, 20_000) == 1
    assert clock.pauses == []


def test_pauses_grow_to_the_slowest_and_end_with_the_time(waiter: Waiter[int], clock: Clock) -> None:
    assert waited(waiter, [1] * 100, wait_ms=2_000) == 1
    assert clock.now == pytest.approx(2)
    assert clock.pauses[:-1] == sorted(clock.pauses[:-1])
    assert (clock.pauses[0], max(clock.pauses)) == (0.06, 0.25)


def test_an_outage_during_the_wait_is_a_reading_that_failed(waiter: Waiter[int]) -> None:
    assert waited(waiter, [Unavailable(), 1, Unavailable(), 2]) == 2


def test_an_outage_at_the_end_of_the_wait_is_raised(waiter: Waiter[int]) -> None:
    with pytest.raises(Unavailable):
        waited(waiter, [1, *[Unavailable()] * 50], wait_ms=1_000)
