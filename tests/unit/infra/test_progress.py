"""Progress bars and lines, and the escaping of text for a terminal."""

import io
import time

import pytest
from rich.console import Console

from infra.operations import progress
from infra.operations.progress import Gauge, escaped


def test_short_task_shows_no_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    gauge = Gauge(Console(file=screen, force_terminal=True, width=120))
    with gauge.shown():
        gauge.begin("counting", 10)(10)
    assert not screen.getvalue()


def test_terminal_shows_count_percent_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SHOWN_AFTER_SECONDS", 0.01)
    screen = io.StringIO()
    gauge = Gauge(Console(file=screen, force_terminal=True, width=120))
    with gauge.shown():
        advance = gauge.begin("counting", 2_000, 500)
        advance(500)
        deadline = time.monotonic() + 30
        while "1,000 of 2,000 (50 %)" not in screen.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert "per second" in screen.getvalue()


def test_log_file_gets_a_progress_line_at_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_SECONDS", -1)
    screen = io.StringIO()
    gauge = Gauge(Console(file=screen, width=120))
    with gauge.shown():
        gauge.begin("counting", 2_000, 500)(500)
        # A size may be out of date
        gauge.begin("more", 10)(30)
    first, second = screen.getvalue().splitlines()
    assert first.startswith("counting: 1,000 of 2,000 (50 %), ")
    assert second.startswith("more: 30 of 30 (100 %), ")
    monkeypatch.setattr(progress, "_LINE_EVERY_SECONDS", 10)
    gauge.begin("again", 10)(5)
    assert len(screen.getvalue().splitlines()) == 2


def test_progress_rate_leaves_out_work_done_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_SECONDS", -1)
    screen = io.StringIO()
    gauge = Gauge(Console(file=screen, width=200))
    gauge.begin("counting", 2 * 10**12, 10**12)(1)
    words = screen.getvalue().split(" %), ")[1]
    rate = int(words.removesuffix(" per second\n").replace(",", ""))
    assert rate < 10**9


@pytest.mark.parametrize(
    ("text", "shown"), [("Zoë, 3 €", "Zoë, 3 €"), ("\x1b[2J", "\\u001b[2J"), ("a\nb\u202ec", "a\\u000ab\\u202ec")]
)
def test_control_characters_are_escaped_for_a_terminal(text: str, shown: str) -> None:
    assert escaped(text) == shown
