"""The only way to wait in tests: for a condition, with a deadline. Conditions about processes stand here too."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

Found = TypeVar("Found")


def eventually(
    ask: Callable[[], Found | None],
    deadline_seconds: float = 90.0,
    *,
    every_seconds: float = 0.02,
    retry: type[Exception] | tuple[type[Exception], ...] = (),
) -> Found:
    """Return the first truthy value of *ask*. *ask* is called at least once.

    An error of a type in *retry* counts as a falsy value; any other error passes through at once.

    Raises:
        AssertionError: the deadline passed. The text holds the last value, or the last error is its cause.
    """
    deadline = time.monotonic() + deadline_seconds
    while True:
        error: Exception | None = None
        value: object = None
        try:
            if answer := ask():
                return answer
            value = answer
        except retry as failed:
            error = failed
        if time.monotonic() >= deadline:
            last = f"last error: {error!r}" if error else f"last value: {value!r}"
            raise AssertionError(f"not within {deadline_seconds:g} s; {last}") from error
        time.sleep(every_seconds)


def gone(pid: int) -> bool:
    """Whether no process has *pid*; a zombie counts as gone."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def processes_on(folder: Path) -> list[str]:
    """Return the command lines of processes with *folder* in command line, environment or working folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except psutil.Error:
            continue
        if any(str(folder) in word for word in words) and process.pid != psutil.Process().pid:
            found.append(" ".join(process.cmdline()))
    return found
