"""Finds a Python of the functions' runtime: named by a variable, on PATH, or among pyenv's versions.

Standard library only: this runs before any package is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: The runtime of the functions, as Lambda names it.
RUNTIME = "python3.13"
#: Names the interpreter; commands then look for no other.
VARIABLE = "HOLDFAST_RUNTIME_PYTHON"
_PROBE = (
    "import json, platform, sys; print(json.dumps([sys.implementation.name, 'python%d.%d' % sys.version_info[:2], "
    "platform.python_version(), sys._base_executable]))"
)
_PROBE_SECONDS = 20


class WrongInterpreter(Exception):
    """The variable names no interpreter of the runtime; the text says what was found."""


class Interpreter(NamedTuple):
    """A CPython: its name, such as ``python3.13``, its version, such as ``3.13.1``, and its program.

    The program is neither a shim nor the link of a virtual environment.
    """

    name: str
    version: str
    program: Path


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
    known = probed(python)
    return known.version if known and known.name == runtime else None


def probed(python: Path) -> Interpreter | None:
    """Return what *python* says of itself; None if *python* does not run or is no CPython."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", _PROBE], capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS
        )
        # A shim of pyenv may stand on PATH for a version that is not chosen, and fails.
        implementation, name, number, program = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return Interpreter(name, number, Path(program)) if implementation == "cpython" else None


def candidates(runtime: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield programs that may be the interpreter, in the order of PATH."""
    places = [Path(place) for place in environ.get("PATH", "").split(os.pathsep) if place]
    versions = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/nowhere"), ".pyenv"), "versions")
    if versions.is_dir():
        places += sorted((one / "bin" for one in versions.iterdir()), reverse=True)
    yield from (place / runtime for place in places if os.access(place / runtime, os.X_OK))
