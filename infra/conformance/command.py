"""Runs the integration tests against LocalStack, with everything that they need started and ended here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infra import environment
from infra.conformance.localstack import LOCALSTACK, LocalStack
from infra.environment import ROOT
from infra.host.interpreter import RUNTIME, VARIABLE
from infra.local.clients import ROOT_KEYS
from infra.local.processes.emulator import Emulator
from infra.local.processes.mongod import Mongod

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The variables by which the tests know the endpoint and the database (`tests.support.endpoint`).
ENDPOINT, DATABASE = "CONFORMANCE_ENDPOINT_URL", "CONFORMANCE_MONGODB_URI"
#: Marks and leaves out the tests of the known differences.
PLUGIN = "tests.support.endpoint"
#: The exit code of a run that could not begin on this machine, as other test programs have it.
SKIPPED = 77
_MISSING = (
    f"No {RUNTIME} was found on PATH or among pyenv's versions. Functions run on {RUNTIME}, and LocalStack 4.14.0 "
    f"runs beside them. Install it, with its module venv, or name one in {VARIABLE}, and run this again."
)
#: A test run that was interrupted removes its stack first.
END_SECONDS = 60


def run(folder: Path | None, tests: Sequence[str]) -> int:
    """Run *tests*, or all integration tests; return pytest's exit code, or `SKIPPED` where LocalStack cannot run.

    LocalStack's environment is made in *folder* if given, else inside ``.venv``.

    Raises:
        EnvironmentFailed: LocalStack's packages could not be installed, or the variable names another Python.
        ChildFailed: a process did not start; the text holds the end of its log.
    """
    if not (python := environment.choose(ROOT).program):
        print(f"Skipped: {_MISSING}", file=sys.stderr)
        return SKIPPED
    place = LOCALSTACK._replace(interpreter=python, folder=str(folder or LOCALSTACK.folder))
    environment.ensure(wanted=(place,))
    data = tempfile.TemporaryDirectory(prefix="holdfast-conformance-", ignore_cleanup_errors=True)
    with data as name, _servers(Path(name), place) as variables:
        return _tests(variables, tests)


@contextmanager
def _servers(folder: Path, place: environment.Environment) -> Iterator[dict[str, str]]:
    """Start database, emulator and LocalStack with their data in *folder*; yield the variables that name them."""
    with ExitStack() as parts:
        mongod, emulator = Mongod(folder / "mongod"), Emulator(folder / "emulator")
        for name, part in (("database", mongod), ("tables", emulator)):
            parts.callback(part.stop)
            with _step(name):
                part.start()
        localstack = LocalStack(folder / "localstack", emulator.endpoint_url, place)
        parts.callback(localstack.stop)
        with _step("LocalStack"):
            localstack.start()
        yield {ENDPOINT: localstack.url, DATABASE: mongod.uri, **ROOT_KEYS.variables}


def _tests(variables: dict[str, str], tests: Sequence[str]) -> int:
    """Run pytest in a process of its own; return its exit code."""
    command = [sys.executable, "-m", "pytest", "-p", PLUGIN, *(tests or ["tests/integration"])]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables})
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _step(name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"  ✓ {name}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
