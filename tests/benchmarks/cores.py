"""Who runs on which core, and how much of one each has had."""

import os
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from operator import itemgetter

import psutil

#: Of a core, what is not worth a word.
_NOTHING = 0.01


def usable() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def keep(processes: Sequence[psutil.Process], cores: Sequence[int]) -> None:
    """Have every thread of *processes*, and whatever they start, run on *cores*; where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        return
    for process in processes:
        with suppress(psutil.Error, ProcessLookupError):
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores)


def everything() -> list[psutil.Process]:
    """Return everything that takes part: this process, and all it has started."""
    ours = psutil.Process()
    return [ours, *ours.children(recursive=True)]


class Spent:
    """Processor time of everything that takes part, since this was made."""

    def __init__(self) -> None:
        self._began, self._before = time.perf_counter(), self._now()

    def told(self) -> str:
        """Return how many cores each part has had on average."""
        seconds = time.perf_counter() - self._began
        spent: dict[str, float] = defaultdict(float)
        for pid, (part, taken) in self._now().items():
            spent[part] += (taken - self._before.get(pid, (part, 0.0))[1]) / seconds
        most_first = sorted(spent.items(), key=itemgetter(1), reverse=True)
        return ", ".join(f"{part} {cores:.2f}" for part, cores in most_first if cores > _NOTHING)

    def _now(self) -> dict[int, tuple[str, float]]:
        found = {}
        for process in everything():
            with suppress(psutil.Error):
                times = process.cpu_times()
                found[process.pid] = _part(process), times.user + times.system
        return found


def _part(process: psutil.Process) -> str:
    """Return what *process* is here for."""
    if process.pid == os.getpid():
        return "callers"
    if function := process.environ().get("AWS_LAMBDA_FUNCTION_NAME"):
        return function.rpartition("-")[2]
    words = " ".join(process.cmdline())
    known = {"emulator_main.py": "AWS", "mongod": "mongod", "spawn_main": "serve", "infra.server": "serve"}
    return next((part for word, part in known.items() if word in words), "others")
