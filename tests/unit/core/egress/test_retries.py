"""`Retry-After` is read as seconds or date, within bounds; malformed values give the default."""

from email.utils import formatdate
from time import gmtime, strftime, time

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


def a_date(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


@pytest.mark.parametrize(("ahead", "expected"), [(-1, 1), (-86_400, 1), (-(10**9), 1), (86_400, 3_600), (10**9, 3_600)])
def test_date_in_the_past_and_far_ahead_is_bounded(ahead: int, expected: float) -> None:
    assert retry_after_seconds(a_date(time() + ahead), 10.0, shortest=1, longest=3_600) == expected


@pytest.mark.parametrize("weekday", ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
def test_date_counts_with_any_weekday(weekday: str) -> None:
    header = weekday + a_date(time() + 600)[3:]
    assert 500 < retry_after_seconds(header, 10.0, shortest=1, longest=3_600) <= 600


@pytest.mark.parametrize("form", ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"])
def test_date_in_an_obsolete_form_counts(form: str) -> None:
    header = strftime(form, gmtime(time() + 600))
    assert 500 < retry_after_seconds(header, 10.0, shortest=1, longest=3_600) <= 600


@pytest.mark.parametrize("before", ["", " ", "\t ", "   "])
@pytest.mark.parametrize("after", ["", " ", " \t"])
def test_spaces_around_a_value_are_ignored(before: str, after: str) -> None:
    assert retry_after_seconds(f"{before}7{after}", 10.0, shortest=1, longest=3_600) == 7
    header = f"{before}{a_date(time() + 600)}{after}"
    assert 500 < retry_after_seconds(header, 10.0, shortest=1, longest=3_600) <= 600


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
    ("values", "least", "most"),
    [
        (["120", "240"], 240, 240),
        (["240", "120"], 240, 240),
        (["0", "0"], 1, 1),
        (["7", 600], 500, 600),
        ([600, "7"], 500, 600),
        ([300, 600], 500, 600),
        ([600, 300], 500, 600),
        ([600, "3600"], 3_600, 3_600),
        (["soon", "240"], 240, 240),
        (["240", "-1"], 240, 240),
        (["soon", "later"], 10, 10),
    ],
)
def test_longest_of_several_values_counts(values: list[str | int], least: float, most: float) -> None:
    texts = [a_date(time() + value) if isinstance(value, int) else value for value in values]
    for separator in (", ", ",", " , "):
        assert least <= retry_after_seconds(separator.join(texts), 10.0, shortest=1, longest=3_600) <= most


@pytest.mark.parametrize(
    "header",
    [
        "",
        "soon",
        "-1",
        "-5",
        "+5",
        "-0",
        "1.5",
        "7 s",
        "\u0667",
        "9" * 5_000,
        "Mon, 99 Foo 2026 00:00:00 GMT",
        ",",
        "7;",
        "0x10",
        "1e3",
    ],
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
