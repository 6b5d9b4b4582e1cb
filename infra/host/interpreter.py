"""Finds a Python of the functions' runtime: named by a variable, on PATH, or among pyenv's versions."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Names the interpreter; commands then look for no other.
VARIABLE = "HOLDFAST_RUNTIME_PYTHON"
_PROBE = (
    "import platform, sys; print(sys.implementation.name, 'python%d.%d' % sys.version_info[:2], "
    "platform.python_version())"
)
_PROBE_SECONDS = 20


class WrongInterpreter(Exception):
    """The variable names no interpreter of the runtime; the text says what was found."""


def found(runtime: str, environ: Mapping[str, str]) -> Path | None:
    """Return an interpreter of *runtime*, such as ``python3.13``; None if this machine has none.

    Raises:
        WrongInterpreter: the variable is set, and names no such interpreter.
    """
    if named := environ.get(VARIABLE):
        if not version(Path(named), runtime):
            raise WrongInterpreter(
                f"{VARIABLE} is {named}, which is not a CPython of {runtime}. Name one, or unset it."
            )
        return Path(named)
    return next((path for path in candidates(runtime, environ) if version(path, runtime)), None)


def version(python: Path, runtime: str) -> str | None:
    """Return the version of *python*, such as ``3.13.1``, if *python* is a CPython of *runtime*, else None."""
    try:
        done = subprocess.run(
            [python, "-I", "-c", _PROBE], capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # A shim of pyenv may stand on PATH for a version that is not chosen, and fails.
    said = done.stdout.split()
    return said[2] if done.returncode == 0 and said[:2] == ["cpython", runtime] else None


def candidates(runtime: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield programs that may be the interpreter, in the order of PATH."""
    places = [Path(place) for place in environ.get("PATH", "").split(os.pathsep) if place]
    versions = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/nowhere"), ".pyenv"), "versions")
    if versions.is_dir():
        places += sorted((one / "bin" for one in versions.iterdir()), reverse=True)
    yield from (place / runtime for place in places if os.access(place / runtime, os.X_OK))
