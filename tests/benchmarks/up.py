"""The time of a start, a restart and a reload of the local stack, its CPU and memory when idle, and a cold start."""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import requests

from infra.environment import ROOT
from tests.benchmarks import cold
from tests.benchmarks.report import CONSOLE, show

#: Limits on two cores.
_FRESH_SECONDS, _AGAIN_SECONDS, _CHANGE_SECONDS = 6.0, 4.0, 1.5
_MEMORY_MB, _CPU_PERCENT = 400, 3.0
_COPIED = (
    "app.py",
    "chalicelib",
    "infra",
    ".chalice",
    "scripts",
    "requirements.txt",
    "requirements-package.txt",
    "requirements-serve.txt",
    "requirements-dev.txt",
)
_PORT = 18_700


def run(*, smoke: bool) -> None:
    """Measure `scripts/up` on a copy of the code, which the run changes."""
    with tempfile.TemporaryDirectory() as folder:
        copy = _copied(Path(folder) / "holdfast")
        rows = []
        with _Up(copy) as up:
            rows.append(_line("fresh start", "s", up.ready_seconds, _FRESH_SECONDS))
        with _Up(copy, "--reload"):
            rows.append(_line("a saved change serves", "s", _change(copy), _CHANGE_SECONDS))
        with _Up(copy) as up:
            rows.insert(1, _line("start again", "s", up.ready_seconds, _AGAIN_SECONDS))
            requests.get(f"http://127.0.0.1:{_PORT}/ready", timeout=30)
            CONSOLE.log("idling")
            cpu, seconds = up.cpu_seconds(), 5.0 if smoke else 60.0
            # The idle stack is measured.
            time.sleep(seconds)
            rows.append(_line("idle CPU", "% of a core", (up.cpu_seconds() - cpu) * 100 / seconds, _CPU_PERCENT))
            rows.append(_line("idle memory (PSS)", "MB", up.memory_mb(), _MEMORY_MB))
        rows += [_line(what, unit, value, limit) for what, unit, value, limit in cold.rows(smoke=smoke)]
        show("scripts/up", ("what", "measured", "unit", "held to", "ratio"), rows)


def _line(what: str, unit: str, measured: float, held_to: float) -> list[str]:
    return [what, f"{measured:.2f}", unit, f"{held_to:g}", f"{measured / held_to:.2f}"]


class _Up:
    """`scripts/up` of a copy, with its processes."""

    def __init__(self, copy: Path, *options: str) -> None:
        self._copy, self._options = copy, options

    def __enter__(self) -> "_Up":
        began = time.monotonic()
        command = [sys.executable, "-m", "infra.local", "--port", str(_PORT), *self._options]
        self._process = subprocess.Popen(command, cwd=self._copy, stdout=subprocess.DEVNULL)
        _until_healthy(lambda _: True)
        self.ready_seconds = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)

    def _all(self) -> list[psutil.Process]:
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def cpu_seconds(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self._all())

    def memory_mb(self) -> float:
        return sum(process.memory_full_info().pss for process in self._all()) / 2**20


def _until_healthy(accept: Callable[[requests.Response], bool]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            answer = requests.get(f"http://127.0.0.1:{_PORT}/health", timeout=10)
            if answer.ok and accept(answer):
                return
        except requests.ConnectionError:
            pass
        # The pause of a poll with a deadline.
        time.sleep(0.02)
    raise TimeoutError("the stack did not answer")


def _change(copy: Path) -> float:
    """Change an answer in the code, and return the seconds until the change is served."""
    models = copy / "chalicelib/cluster/models.py"
    before = models.read_text()
    models.write_text(before.replace('Literal["ok"] = "ok"', 'Literal["changed"] = "changed"'))
    began = time.monotonic()
    _until_healthy(lambda answer: answer.json()["status"] == "changed")
    return time.monotonic() - began


def _copied(copy: Path) -> Path:
    copy.mkdir()
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    return copy
