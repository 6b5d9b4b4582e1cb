"""Bytecode in package and layer, so that a cold start compiles nothing: a function cannot write to these folders.

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
PLACE = "/var/task"
#: The oldest time that a zip file can say. Equal content makes equal packages, at any time.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644


def compiled(code: Path, python: Path, place: str = PLACE) -> int:
    """Add bytecode by *python* to the zip file *code*; return how many files were added. Equal input gives equal bytes.

    *place* is the folder into which Lambda unpacks the file.

    Raises:
        CommandFailed: a module cannot be compiled; the text has the interpreter's own words.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(code) as package:
            package.extractall(folder)
        _compile(folder, python, place)
        added = list(folder.rglob("*.pyc"))
        pack(folder, code)
    return len(added)


def _compile(folder: Path, python: Path, place: str) -> None:
    options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", place]
    environ = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    command = [str(python), "-s", "-m", "compileall", *options, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise CommandFailed(f"{python} cannot compile the package:\n{(done.stdout + done.stderr).strip()}")


def pack(folder: Path, code: Path) -> None:
    """Write *folder* as the zip file *code*, in the order of the names. Equal content gives equal bytes.

    Of the folders, only empty ones have entries.
    """
    part = code.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as package:
        for path in sorted(folder.rglob("*")):
            if path.is_dir():
                if not any(path.iterdir()):
                    package.writestr(zipfile.ZipInfo(f"{path.relative_to(folder).as_posix()}/", _MOMENT), b"")
                continue
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _MOMENT)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, _FILE_MODE << 16
            package.writestr(entry, path.read_bytes())
    part.replace(code)
