"""Cached counts of lists, kept for a time in proportion to their size."""

import pytest

from chalicelib.core.records import count_cache as module
from chalicelib.core.records.count_cache import CountCache


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def totals(clock: Clock) -> CountCache:
    return CountCache(kept_ms=1_000, ticks=clock)


@pytest.mark.parametrize(("total", "seconds"), [(10_000, 1.0), (5_000, 0.5), (100, 0.01)])
def test_count_is_cached_in_proportion_to_its_size(
    totals: CountCache, clock: Clock, total: int, seconds: float
) -> None:
    assert totals.keep("all", total) == total
    clock.now += seconds * 0.99
    assert totals.known("all") == total
    clock.now += seconds * 0.02
    assert totals.known("all") is None


def test_absent_or_zero_count_is_not_cached(totals: CountCache) -> None:
    assert totals.known("all") is None
    totals.keep("all", 0)
    assert totals.known("all") is None


def test_each_list_has_its_own_cached_count(totals: CountCache) -> None:
    totals.keep(("approved", "ada"), 700)
    totals.keep(("approved",), 900)
    assert (totals.known(("approved", "ada")), totals.known(("approved",))) == (700, 900)
    assert totals.known(("draft",)) is None


def test_cache_time_of_zero_keeps_no_count(clock: Clock) -> None:
    totals = CountCache(kept_ms=0, ticks=clock)
    totals.keep("all", 10_000)
    assert totals.known("all") is None


def test_cache_of_many_lists_is_bounded(totals: CountCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    for number in range(10):
        totals.keep(number, 10_000)
        assert totals.known(number) == 10_000
        assert sum(totals.known(other) is not None for other in range(10)) <= 3
