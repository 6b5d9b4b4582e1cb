"""libfaketime: the variables that put a process, and every process that it starts, under the stack's clock.

The library of the package ``libfaketime`` moves the wall clock alone. Sleeping and the monotonic clock stay real, so
timeouts of drivers and pauses keep their length across a jump.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from infra.operations.failures import CommandFailed

if TYPE_CHECKING:
    from infra.local.lab.clock import Clock

#: Relative to the package.
_LIBRARY = "vendor/libfaketime/src/libfaketime.so.1"
_PROBED_SECONDS = 1_000_000
#: Where libfaketime makes two files for each process that no other one under it has started.
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 # the library's choice
#: Variables that name processes in place of the stack's own.
FOREIGN = ("MONGODB_URI", "AWS_ENDPOINT_URL", "LOCALSTACK_HOST")
NOWHERE = (
    "A clock that jumps needs libfaketime, which {fault}. It comes with requirements-dev.txt for Linux on x86-64. "
    "Leave --lab out: everything else works without it."
)


class NoLab(CommandFailed):
    """This machine cannot run a stack with a clock that jumps; the text says why."""


def prepared(clock: Clock, *, lab: bool) -> dict[str, str]:
    """Return the variables of a stack's own processes: none for a stack at real time.

    Raises:
        ClockAhead: the stack is no *lab*, and the clock of its data folder is ahead.
        NoLab: see `variables`; also if the environment names a foreign database or endpoint.
    """
    if not lab:
        clock.refuse_ahead()
        return {}
    for name in FOREIGN:
        if os.environ.get(name):
            raise NoLab(f"--lab moves the clock of the stack's own processes alone. Unset {name}, or leave --lab out.")
    made = variables(clock.file)
    tidy()
    clock.make()
    return made


def variables(file: Path) -> dict[str, str]:
    """Return the variables of a process whose clock is ahead by the offset that *file* holds.

    A process reads *file* again at its first look at the clock in each second of real time.

    Raises:
        NoLab: the library is missing, or this machine cannot load it.
    """
    found = library()
    made = _variables(found, file)
    _probe(found)
    return made


def library() -> Path:
    """Return the installed library.

    Raises:
        NoLab: the library is not installed.
    """
    spec = importlib.util.find_spec("libfaketime") if sys.platform == "linux" else None
    found = Path(spec.origin).parent / _LIBRARY if spec and spec.origin else None
    if found is None or not found.is_file():
        fault = "is not installed" if sys.platform == "linux" else "runs on Linux alone"
        raise NoLab(NOWHERE.format(fault=fault))
    return found


def tidy() -> None:
    """Delete the shared memory that libfaketime has left in the name of processes that were killed."""
    for file in SHARED_MEMORY.glob("*faketime_*_*"):
        pid = file.name.rpartition("_")[2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            # Another user's file stays.
            with suppress(OSError):
                file.unlink()


def _variables(library: Path, file: Path) -> dict[str, str]:
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        # Whole seconds, compared by "greater": 0 reads the file once in each second, and 1 once in two.
        "FAKETIME_CACHE_DURATION": "0",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # A wait of mongod until a moment of the monotonic clock would end at once, and be begun again without end.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }


def _probe(library: Path) -> None:
    """Raise NoLab unless a process under *library* shows another time. The linker only warns of a foreign library."""
    with tempfile.NamedTemporaryFile("w", suffix=".offset") as file:
        file.write(f"+{_PROBED_SECONDS}\n")
        file.flush()
        command = [sys.executable, "-I", "-S", "-c", "import time; print(time.time())"]
        environment = {"PATH": os.defpath, **_variables(library, Path(file.name))}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or float(done.stdout) < time.time() + _PROBED_SECONDS / 2:
        raise NoLab(NOWHERE.format(fault=f"cannot be loaded on this machine ({os.uname().machine})"))
