"""Bytecode in the package, so that a cold start compiles nothing: a function cannot write to its own folder.

The files are unchecked: the import system never compares them with their sources, which the same package holds. An
interpreter of the runtime makes them, as each version of Python has bytecode of its own.
"""

import os
import subprocess
import tempfile
import zipfile
from pathlib import Path

from infra.operations.failures import CommandFailed

#: Where Lambda unpacks a package; tracebacks show this folder.
_PLACE = "/var/task"
#: The oldest time that a zip file can say. Equal content makes equal packages, at any time.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644


def compiled(code: Path, python: Path) -> int:
    """Add bytecode by *python* to the package *code*; return how many files were added. Equal input gives equal bytes.

    Raises:
        CommandFailed: a module cannot be compiled; the text has the interpreter's own words.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(code) as package:
            package.extractall(folder)
        _compile(folder, python)
        added = list(folder.rglob("*.pyc"))
        _pack(folder, code)
    return len(added)


def _compile(folder: Path, python: Path) -> None:
    options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", _PLACE]
    environ = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    command = [str(python), "-s", "-m", "compileall", *options, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise CommandFailed(f"{python} cannot compile the package:\n{(done.stdout + done.stderr).strip()}")


def _pack(folder: Path, code: Path) -> None:
    """Write the files of *folder* as the package *code*, in the order of their names."""
    part = code.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as package:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _MOMENT)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, _FILE_MODE << 16
            package.writestr(entry, path.read_bytes())
    part.replace(code)
