"""Child processes end with their parent, and take their own children along."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.environment import ROOT
from infra.local.processes.child import Child, ChildFailed
from tests.support.waiting import eventually, gone

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
#: Ignores SIGTERM, as something busy may.
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
#: Starts a stubborn process of its own and waits for it.
NEST = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STUBBORN!r}])"]


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    made = Child("the child", tmp_path / "child.log")
    yield made
    made.kill()


def test_a_child_gets_exactly_the_given_environment(child: Child) -> None:
    child.spawn([sys.executable, "-c", "import os; print(sorted(os.environ))"], {"ONE": "1", "LC_ALL": "C"})
    assert child.wait() == 0
    assert child.tail() == "['LC_ALL', 'ONE']"


def test_terminating_a_child_ends_its_own_children(child: Child) -> None:
    child.spawn(NEST, os.environ)
    eventually(child.tail)
    (nested,) = psutil.Process(child.pid).children()

    child.terminate(deadline_seconds=5)

    eventually(lambda: gone(nested.pid))
    assert not child.alive
    assert not child.note.exists()


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    # Given a parent that starts a child from a thread that ends
    script = f"""
import os, sys, threading, time
from pathlib import Path
from infra.local.processes.child import Child
child = Child("the child", Path({str(tmp_path / "child.log")!r}))
thread = threading.Thread(target=child.spawn, args=[{SLEEP!r}, os.environ])
thread.start(); thread.join()
print(child.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        parent.send_signal(signal.SIGKILL)

    eventually(lambda: gone(pid))


def test_a_left_child_is_ended_before_the_next_starts(tmp_path: Path) -> None:
    first, second = (Child("the child", tmp_path / "child.log") for _ in range(2))
    first.spawn(SLEEP, os.environ)
    left = first.pid

    second.spawn(SLEEP, os.environ)
    try:
        eventually(lambda: gone(left))
        assert second.alive
    finally:
        second.kill()
        first.kill()


def test_a_stale_pid_file_does_not_kill_another_process(child: Child, tmp_path: Path) -> None:
    other = subprocess.Popen(SLEEP, start_new_session=True)
    try:
        (tmp_path / "child.pid").write_text(f"[{other.pid}, 1.0]")
        child.spawn(SLEEP, os.environ)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_child_that_ends_at_its_start_fails_with_its_log(child: Child) -> None:
    child.spawn([sys.executable, "-c", "print('no such luck')"], os.environ)
    with pytest.raises(ChildFailed, match=r"(?s)the child ended while it was starting.*no such luck"):
        child.until(lambda: False, deadline_seconds=20)


def test_a_child_that_is_not_ready_in_time_fails(child: Child) -> None:
    child.spawn(SLEEP, os.environ)
    with pytest.raises(ChildFailed, match="was not ready within 0 s"):
        child.until(lambda: False, deadline_seconds=0.1)


def test_a_child_without_a_process_raises_child_failed(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="does not run"):
        _ = Child("the child", tmp_path / "child.log").pid


def test_log_of_a_child_can_be_read_by_its_owner_alone(child: Child) -> None:
    child.log.write_text("of an earlier version")
    child.log.chmod(0o644)
    child.spawn([sys.executable, "-c", "print('said')"], os.environ)
    child.wait()
    assert (child.log.stat().st_mode & 0o777, child.tail()) == (0o600, "said")
