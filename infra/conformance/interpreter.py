"""Finds the Python of the functions' runtime. The wheels of the package fit no other version."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from infra.host import interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROBE = "import ensurepip, sys, venv; print('python%d.%d' % sys.version_info[:2], sys._base_executable)"


class NoInterpreter(Exception):
    """This machine has no Python of the functions' runtime; the text says which one is wanted."""


def found(runtime: str, environ: Mapping[str, str]) -> Path:
    """Return the interpreter of *runtime*, such as ``python3.13``: on PATH, or else among pyenv's versions.

    Raises:
        NoInterpreter: there is none that can make an environment.
    """
    for candidate in interpreter.candidates(runtime, environ):
        # A shim of pyenv may stand on PATH for a version that is not chosen, and a program may be of another version.
        done = subprocess.run([candidate, "-I", "-c", _PROBE], capture_output=True, text=True, check=False)
        name, _, path = done.stdout.strip().partition(" ")
        if done.returncode == 0 and name == runtime:
            return Path(path)
    raise NoInterpreter(
        f"No {runtime} was found on PATH or among pyenv's versions. Functions run on {runtime}, and LocalStack 4.14.0 "
        "runs beside them. Install it, with its modules venv and ensurepip, and run this again."
    )
