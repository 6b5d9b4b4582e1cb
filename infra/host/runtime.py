"""Chooses the interpreter that functions run on here: one of the runtime, or else the laptop's own Python.

The choice is kept in a file, so that a command without changes runs no interpreter to look at it. A kept choice of an
interpreter holds until its program changes or vanishes, or until the variable names another one. A kept choice of the
laptop's own Python holds until the programs change that may be an interpreter of the runtime.

Standard library only: this runs before any package is installed.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from infra.host import interpreter
from infra.host.interpreter import RUNTIME, VARIABLE, WrongInterpreter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The kept choice, in the folder of the environments.
FILE = "functions-python.json"


class Choice(NamedTuple):
    """The interpreter of *runtime*: its *program*, empty for the laptop's own Python.

    *named* is the value of the variable. *seen* has path, size in bytes and time of change in ns of each program that
    decided. *lacking* is an interpreter of the runtime that could make no environment.
    """

    runtime: str
    program: str
    named: str
    seen: list[list[str | int]]
    lacking: str = ""


def kept(folder: Path, environ: Mapping[str, str]) -> Choice | None:
    """Return the choice in *folder*, None if there is none or it holds no more. No interpreter is run."""
    try:
        choice = Choice(**json.loads((folder / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    named = environ.get(VARIABLE, "")
    if choice.runtime != RUNTIME or (named and named not in (choice.named, choice.program)):
        return None
    decided = [Path(choice.program)] if choice.program else interpreter.candidates(RUNTIME, environ)
    return choice if choice.seen == _seen(decided) else None


def keep(folder: Path, choice: Choice) -> None:
    """Write *choice* into *folder*, which exists."""
    (folder / FILE).write_text(json.dumps(choice._asdict()))


def chosen(environ: Mapping[str, str]) -> Choice:
    """Return a new choice: the interpreter that the variable names, or else the first that can make an environment.

    Raises:
        WrongInterpreter: the variable names no interpreter of the runtime, or one that can make no environment.
    """
    named, lacking = environ.get(VARIABLE, ""), ""
    programs = [interpreter.found(RUNTIME, environ)] if named else interpreter.candidates(RUNTIME, environ)
    tried = []
    for program in programs:
        known = interpreter.probed(program) if program else None
        if not known or known.name != RUNTIME or known.program in tried:
            continue
        tried.append(known.program)
        if makes_environments(known.program):
            return Choice(RUNTIME, str(known.program), named, _seen([known.program]))
        lacking = lacking or str(known.program)
    if named:
        raise WrongInterpreter(
            f"{VARIABLE} is {named}, which cannot make an environment ({lacking} -m venv --without-pip fails). "
            "Name another, or unset it."
        )
    return Choice(RUNTIME, "", "", _seen(interpreter.candidates(RUNTIME, environ)), lacking)


def makes_environments(program: Path) -> bool:
    """Whether *program* makes a virtual environment whose interpreter runs, tried in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as name:
        command = [str(program), "-I", "-m", "venv", "--without-pip", name]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode == 0 and interpreter.probed(Path(name, "bin", "python")) is not None


def sentence(version: str) -> str:
    """Say that functions run on Python *version*, such as ``3.13.1``; if it is not the runtime's, what to install."""
    if f"python{version.rpartition('.')[0]}" == RUNTIME:
        return f"Python {version}, as on AWS"
    return f"Python {version}, not {RUNTIME} as on AWS: install that, or name one in {VARIABLE}"


def _seen(programs: Iterable[Path]) -> list[list[str | int]]:
    """Return path, size and time of change of each of *programs* that exists."""
    found: list[list[str | int]] = []
    for program in programs:
        try:
            status = program.stat()
        except OSError:
            continue
        found.append([str(program), status.st_size, status.st_mtime_ns])
    return found
