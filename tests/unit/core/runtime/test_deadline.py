import threading

import pytest

from chalicelib.core.runtime import deadline
from tests.support.gateway import Context


def test_without_an_invocation_all_time_is_allowed() -> None:
    assert deadline.remaining_ms() is None
    assert deadline.clamp_ms(900_000, margin_ms=5) == 900_000
    assert deadline.allows(900_000)


@pytest.mark.parametrize(
    ("left_ms", "margin_ms", "expected"),
    [(5_000, 0, 1_000), (1_000, 0, 1_000), (999, 0, 999), (5_000, 4_500, 500), (400, 500, 0), (0, 0, 0), (-7, 0, 0)],
)
def test_wanted_time_is_clamped_to_what_the_margin_leaves(left_ms: int, margin_ms: int, expected: int) -> None:
    with deadline.bind(Context(remaining_ms=left_ms)):
        assert deadline.clamp_ms(1_000, margin_ms=margin_ms) == expected


def test_remaining_time_is_allowed_and_a_millisecond_more_is_not() -> None:
    with deadline.bind(Context(remaining_ms=3_000)):
        assert deadline.allows(3_000)
        assert not deadline.allows(3_001)


def test_bound_deadline_ends_with_its_block() -> None:
    with deadline.bind(Context(remaining_ms=3_000)):
        with deadline.bind(Context(remaining_ms=7)):
            assert deadline.remaining_ms() == 7
        assert deadline.remaining_ms() == 3_000
    assert deadline.remaining_ms() is None


def test_each_thread_has_an_invocation_of_its_own() -> None:
    seen: list[int | None] = []
    with deadline.bind(Context(remaining_ms=3_000)):
        thread = threading.Thread(target=lambda: seen.append(deadline.remaining_ms()))
        thread.start()
        thread.join()
    assert seen == [None]
