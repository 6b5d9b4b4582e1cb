"""``scripts/clock`` and ``scripts/up --lab`` without a running stack: targets, refusals, a missing library."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.environment import ROOT
from infra.local.lab import preload
from infra.local.lab.clock import Backwards, Clock, ClockAhead
from infra.local.lab.moment import BadTarget, duration, target
from infra.local.lab.preload import NoLab
from infra.local.stack import Stack
from tests.support.up import run, shell

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"), [("+10h", 36_000), ("+1d12h30min", 131_400), ("+1w", 604_800), ("+5m", 300), ("+90s", 90)]
)
def test_a_duration_is_counted_from_now(text: str, seconds: int) -> None:
    assert target(text, NOW) == NOW + timedelta(seconds=seconds)


def test_a_time_with_an_offset_is_a_target() -> None:
    assert target("2027-03-28T01:59:00+01:00", NOW) == datetime(2027, 3, 28, 0, 59, tzinfo=UTC)


@pytest.mark.parametrize("text", ["10h", "+", "+10", "+10x", "+h", "2027-03-28T01:59:00", "tomorrow"])
def test_another_form_of_target_is_refused(text: str) -> None:
    with pytest.raises(BadTarget, match=r"Write \+10h"):
        target(text, NOW)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (61, "1 min 1 s"), (360_060, "4 d 4 h"), (86_400, "1 d")])
def test_a_duration_is_shown_in_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_clock_keeps_its_offset_and_never_goes_back(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    assert clock.offset_seconds == 0
    clock.make()
    clock.advance(3_600.25)
    clock.make()
    assert Clock(tmp_path).offset_seconds == 3_600.25
    assert abs(clock.now() - datetime.now(UTC) - timedelta(seconds=3_600.25)) < timedelta(seconds=5)
    with pytest.raises(Backwards):
        clock.advance(3_600)


def test_a_start_at_real_time_refuses_a_clock_ahead(tmp_path: Path) -> None:
    Clock(tmp_path).advance(7 * 86_400)
    with pytest.raises(ClockAhead):
        Stack(tmp_path)
    done = run(tmp_path)
    assert done.returncode == 1
    assert "is 7 d ahead" in done.stdout
    assert "--fresh" in done.stdout
    assert list(tmp_path.glob("*/*.pid")) == []


def test_a_lab_of_foreign_processes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1/?replicaSet=rs0")
    with pytest.raises(NoLab, match="Unset MONGODB_URI"):
        Stack(tmp_path, lab=True)


def test_a_machine_without_the_library_gets_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preload, "library", lambda: tmp_path / "missing.so")
    with pytest.raises(NoLab, match="cannot be loaded on this machine"):
        preload.variables(tmp_path / "offset")
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(NoLab, match="runs on Linux alone"):
        preload.variables(tmp_path / "offset")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["+10h"], "Start a stack with scripts/up --lab"),
        (["-10h"], "only goes forward"),
        (["--blind"], "needs a target"),
    ],
)
def test_a_jump_without_a_lab_or_target_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    command = [sys.executable, "-m", "infra.local.lab", "--data", str(tmp_path), *words]
    done = subprocess.run(command, cwd=ROOT, env=shell(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_process_takes_a_new_offset_over_in_the_next_second(tmp_path: Path) -> None:
    try:
        variables = preload.variables(tmp_path / "lab/offset")
    except NoLab as missing:
        pytest.skip(str(missing))
    clock = Clock(tmp_path)
    clock.make()
    program = "import sys, time\nfor line in sys.stdin: print(time.time(), flush=True)"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=variables, stdin=-1, stdout=-1, text=True, bufsize=1) as process:

        def shown() -> float:
            assert process.stdin
            assert process.stdout
            process.stdin.write("\n")
            return float(process.stdout.readline())

        assert abs(shown() - datetime.now(UTC).timestamp()) < 2
        clock.advance(86_400.5)
        second = int(datetime.now(UTC).timestamp())
        while int(datetime.now(UTC).timestamp()) == second:
            pass
        assert abs(shown() - datetime.now(UTC).timestamp() - 86_400.5) < 0.4
