"""The options of ``scripts/up`` for a running stack: show status, stop, and print the environment."""

from __future__ import annotations

import json
import os
import shlex
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from infra.local.cli.data_folder import Folder

#: Longer than the time that any process of a stack is given to end in order.
STOP_SECONDS = 150
#: The roles of processes of Python, by their programs.
PROGRAMS = {"emulator_main.py": "AWS endpoint", "receiver_main.py": "receiver of callbacks"}


class Process(NamedTuple):
    """A process of a running stack."""

    pid: int
    memory_mb: float
    role: str


def status(folder: Folder, *, as_json: bool) -> int:
    """Print the stack's processes and their memory, as text or as a JSON object. Return 0 if a stack runs, else 1.

    The object has ``running``, ``data``, and for a running stack ``url`` (null while starting), ``receiver`` (null
    while starting, and without a receiver of callbacks), ``upSeconds`` and ``processes``, each with ``pid``,
    ``memoryMb`` and ``role``.
    """
    run = folder.read()
    state: dict[str, object] = {"running": run is not None, "data": str(folder.path)}
    if run is None:
        print(json.dumps(state) if as_json else f"Nothing runs on {folder.path}.")
        return 1
    seconds, found = time.time() - run.supervisor.created, processes(run.supervisor.pid)
    receiver = run.environment.get("RECEIVER_URL")
    if as_json:
        shown = [{"pid": each.pid, "memoryMb": round(each.memory_mb, 1), "role": each.role} for each in found]
        urls = {"url": run.url or None, "receiver": receiver}
        print(json.dumps({**state, **urls, "upSeconds": round(seconds), "processes": shown}))
        return 0
    print(f"{run.url or 'Starting'}  (process {run.supervisor.pid}, for {seconds / 60:.0f} min)")
    if receiver:
        print(f"{receiver}  (the receiver of callbacks)")
    for each in found:
        print(f"  {each.pid:>7}  {each.memory_mb:4.0f} MB  {each.role}")
    return 0


def processes(supervisor_pid: int) -> list[Process]:
    """Return the processes of the stack, the supervisor first. A process that ends meanwhile is left out."""
    supervisor, found = psutil.Process(supervisor_pid), []
    for process in [supervisor, *supervisor.children(recursive=True)]:
        with suppress(psutil.Error):
            found.append(Process(process.pid, memory_mb(process), role(process, supervisor)))
    return found


def stop(folder: Folder) -> int:
    """Stop the stack; return when all its processes have ended. Also ends processes left by a killed supervisor."""
    run = folder.read()
    if run is None:
        folder.reclaim()
        print(f"Nothing runs on {folder.path}.")
        return 0
    with suppress(ProcessLookupError):
        os.kill(run.supervisor.pid, signal.SIGTERM)
    if not run.supervisor.gone(STOP_SECONDS):
        os.kill(run.supervisor.pid, signal.SIGKILL)
        run.supervisor.gone(STOP_SECONDS)
    folder.reclaim()
    print("Stopped. The data stays.")
    return 0


def environment(folder: Folder) -> int:
    """Print shell commands that let a program reach the running stack. Return 0 if a stack is ready, else 1."""
    run = folder.read()
    if run is None or not run.url:
        # The output goes to `eval "$(scripts/up --env)"`, so the text must not be run as a command.
        print(f"echo 'Nothing runs on {folder.path}.' >&2; false")
        return 1
    for name, value in run.environment.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def role(process: psutil.Process, supervisor: psutil.Process) -> str:
    """Return the role of a process of the stack, for the status."""
    if process == supervisor:
        return "supervisor and front"
    if function := process.environ().get("AWS_LAMBDA_FUNCTION_NAME"):
        return f"function {function}"
    command = " ".join(process.cmdline())
    return next((role for program, role in PROGRAMS.items() if program in command), process.name())


def memory_mb(process: psutil.Process) -> float:
    """Return the memory of *process* in MB: its proportional share if the system has shares, else its unique memory."""
    taken = process.memory_full_info()
    return float(getattr(taken, "pss", taken.uss)) / 2**20
