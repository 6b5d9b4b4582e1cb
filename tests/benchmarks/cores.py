"""The assignment of processes to cores, and the processor time of each part."""

import os
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from operator import itemgetter

import psutil

#: Shares of a core below this limit are not reported.
_NOTHING = 0.01


def usable() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def pin(processes: Sequence[psutil.Process], cores: Sequence[int]) -> None:
    """Pin every thread of *processes*, and their later children, to *cores*, where the system supports pinning."""
    if not hasattr(os, "sched_setaffinity"):
        return
    for process in processes:
        with suppress(psutil.Error, ProcessLookupError):
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores)


def all_processes() -> list[psutil.Process]:
    """Return this process and all its descendants."""
    ours = psutil.Process()
    return [ours, *ours.children(recursive=True)]


class Spent:
    """Processor time of this process and its descendants since the creation of this object."""

    def __init__(self) -> None:
        self._began, self._before = time.perf_counter(), self._now()

    def cores_per_part(self) -> str:
        """Return the average number of cores of each part, as text."""
        seconds = time.perf_counter() - self._began
        spent: dict[str, float] = defaultdict(float)
        for pid, (part, taken) in self._now().items():
            spent[part] += (taken - self._before.get(pid, (part, 0.0))[1]) / seconds
        most_first = sorted(spent.items(), key=itemgetter(1), reverse=True)
        return ", ".join(f"{part} {cores:.2f}" for part, cores in most_first if cores > _NOTHING)

    def _now(self) -> dict[int, tuple[str, float]]:
        found = {}
        for process in all_processes():
            with suppress(psutil.Error):
                times = process.cpu_times()
                found[process.pid] = _part(process), times.user + times.system
        return found


def _part(process: psutil.Process) -> str:
    """Return the name of the part that *process* belongs to."""
    if process.pid == os.getpid():
        return "callers"
    if function := process.environ().get("AWS_LAMBDA_FUNCTION_NAME"):
        return function.rpartition("-")[2]
    words = " ".join(process.cmdline())
    known = {"emulator_main.py": "AWS", "mongod": "mongod", "spawn_main": "serve", "infra.server": "serve"}
    return next((part for word, part in known.items() if word in words), "others")
