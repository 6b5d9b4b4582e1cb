import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.runtime.backoff import Backoff, spread

BACKOFF = Backoff(first_seconds=0.02, longest_seconds=0.5)


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """The bounds of each random draw; each draw returns the upper bound."""
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    monkeypatch.setattr("chalicelib.core.runtime.backoff.random.uniform", uniform)
    return drawn


def test_ceiling_doubles_with_each_failure_up_to_the_longest(bounds: list[tuple[float, float]]) -> None:
    pauses = [BACKOFF.seconds(failures) for failures in range(1, 9)]
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5]
    assert {low for low, _ in bounds} == {0}


def test_no_pause_is_below_the_shortest(bounds: list[tuple[float, float]]) -> None:
    Backoff(shortest_seconds=0.01, first_seconds=0.02, longest_seconds=0.25).seconds(2)
    assert bounds == [(0.01, 0.04)]


@given(st.integers(1, 10**9))
def test_any_count_of_failures_has_a_pause_within_bounds(failures: int) -> None:
    assert 0 <= BACKOFF.seconds(failures) <= min(0.02 * 2 ** min(failures - 1, 10), 0.5)


def test_callers_that_fail_together_pause_differently() -> None:
    assert len({BACKOFF.seconds(5) for _ in range(100)}) > 90


@given(st.floats(0, 3_600), st.floats(0, 2))
def test_spread_pause_is_never_shorter_than_asked(seconds: float, part: float) -> None:
    assert seconds <= spread(seconds, part) <= seconds * (1 + part)
