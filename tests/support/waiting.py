"""Waiting for what processes do: on a condition and with a deadline."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil


def until(ask: Callable[[], object], seconds: float = 20) -> None:
    """Return when *ask* says yes; fail when it has not in time."""
    deadline = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether no process has *pid*; one that only waits to be collected counts as gone."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def processes_on(folder: Path) -> list[str]:
    """Return what runs on *folder*: every process that has it in its command line, environment or working folder."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except psutil.Error:
            continue
        if any(str(folder) in word for word in told) and process.pid != psutil.Process().pid:
            found.append(" ".join(process.cmdline()))
    return found
