"""`Retry-After` is read as seconds or date, within bounds; malformed values give the default."""

from email.utils import formatdate
from time import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.egress import retry_after_seconds


@pytest.mark.parametrize(
    ("header", "expected"), [("7", 7), (" 7 ", 7), ("0", 1), ("3600", 3_600), ("3601", 3_600), ("9" * 30, 3_600)]
)
def test_seconds_are_honoured_within_bounds(header: str, expected: float) -> None:
    assert retry_after_seconds(header, 10.0, shortest=1, longest=3_600) == expected


@given(st.integers(-10_000, 10_000))
def test_date_is_honoured_within_bounds(ahead: int) -> None:
    begun = time()
    pause = retry_after_seconds(formatdate(begun + ahead, usegmt=True), 10.0, shortest=1, longest=3_600)
    # A date has whole seconds, and time goes on meanwhile.
    least = ahead - 1 - (time() - begun)
    assert min(max(least, 1), 3_600) <= pause <= min(max(ahead, 1), 3_600)


@pytest.mark.parametrize("skew", [-86_400, 0, 86_400])
def test_date_counts_from_the_servers_own_clock(skew: int) -> None:
    now = int(time()) + skew
    sent = formatdate(now, usegmt=True)
    asked = formatdate(now + 3_600, usegmt=True)
    assert retry_after_seconds(asked, None, shortest=1, longest=86_400, sent=sent) == 3_600


@pytest.mark.parametrize("sent", ["", "soon", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_malformed_date_of_the_answer_is_ignored(sent: str) -> None:
    asked = formatdate(time() + 3_600, usegmt=True)
    assert 3_500 < retry_after_seconds(asked, 10.0, shortest=1, longest=86_400, sent=sent) <= 3_600


@pytest.mark.parametrize(
    "header", ["", "soon", "-1", "1.5", "7 s", "\u0667", "9" * 5_000, "Mon, 99 Foo 2026 00:00:00 GMT"]
)
def test_malformed_header_gives_the_default(header: str) -> None:
    assert retry_after_seconds(header, 10.0, shortest=1, longest=3_600) == 10
    assert retry_after_seconds(header, None, shortest=1, longest=3_600) is None


def test_no_header_gives_the_default() -> None:
    assert retry_after_seconds(None, 0.5, shortest=1, longest=3_600) == 0.5
    assert retry_after_seconds(None, None, shortest=1, longest=3_600) is None


@given(st.text(max_size=40) | st.text("0123456789:, MonFebGT+-", max_size=5_000))
def test_any_header_gives_a_pause_within_bounds(header: str) -> None:
    assert 1 <= retry_after_seconds(header, 10.0, shortest=1, longest=3_600, sent=header[::-1]) <= 3_600
