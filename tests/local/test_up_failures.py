"""``scripts/up`` that cannot start, and its status for programs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.environment import ROOT
from infra.host import ports
from infra.host.processes import Identity
from infra.operations import running_stack
from infra.operations.running_stack import Run
from tests.support.up import Up, run
from tests.support.waiting import processes_on


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder; no process may run on it after the test."""
    yield tmp_path / "data"
    assert processes_on(tmp_path / "data") == []


def test_unreachable_mongodb_is_named_before_any_process_starts(data: Path) -> None:
    server = f"127.0.0.1:{ports.free()}"
    began = time.monotonic()
    with Up(data, MONGODB_URI=f"mongodb://ann:secret@{server}/shop") as up:
        assert up.wait() == 1
        shown = up.output
    assert f"The MongoDB of MONGODB_URI does not answer: {server}: [Errno" in shown
    assert "secret" not in shown
    assert "✓" not in shown, "no part was started"
    assert time.monotonic() - began < 19


def test_short_admin_password_is_refused_before_the_deployment(data: Path) -> None:
    with Up(data, HOLDFAST_ADMIN_PASSWORD="abc") as up:  # too short
        assert up.wait() == 1
        assert "HOLDFAST_ADMIN_PASSWORD has 3 characters, and a password has 8 to 256." in up.output
        assert "deployment" not in up.output


def test_status_as_json_names_url_and_processes(data: Path) -> None:
    # Given this test's own process in place of a supervisor
    data.mkdir()
    supervisor = Identity.of(os.getpid())
    running_stack.write(data, Run(supervisor, "http://localhost:8000", {}))
    # When
    done = run(data, "--status", "--json")
    # Then
    shown = json.loads(done.stdout)
    assert done.returncode == 0
    assert (shown["running"], shown["url"], shown["data"]) == (True, "http://localhost:8000", str(data))
    assert shown["upSeconds"] >= 0
    first = shown["processes"][0]
    assert (first["pid"], first["role"]) == (supervisor.pid, "supervisor and front")
    assert first["memoryMb"] > 1
    running_stack.forget(data)


def test_status_as_json_of_no_stack_is_an_object_and_one(data: Path) -> None:
    done = run(data, "--status", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, {"running": False, "data": str(data)})


@pytest.mark.parametrize("options", [("--stop", "--fresh"), ("--status", "--reload"), ("--env", "--json")])
def test_option_without_an_effect_is_refused(data: Path, options: tuple[str, str]) -> None:
    done = run(data, *options)
    assert done.returncode == 2
    assert f"{options[1]} has no effect with {options[0]}" in done.stderr


def test_ctrl_c_during_the_imports_leaves_no_traceback(data: Path) -> None:
    # The signal comes with the first import, before any handler of the command exists.
    script = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'infra.local.cli':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from infra.run import main\n"
        f"main('up', '--data', {str(data)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "\nInterrupted.\n")
