"""The cold start of a function: CPU seconds of the import with and without bytecode; sizes of package and layer.

Measured on a package as for AWS, by a Python of the functions' runtime, in a new process each time.
"""

import os
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from infra.deployment import package
from infra.host import interpreter
from infra.host.interpreter import RUNTIME
from tests.benchmarks.report import CONSOLE

#: Limits in CPU seconds, with and without bytecode, and in MB unpacked and zipped.
_WITH_SECONDS, _WITHOUT_SECONDS, _UNPACKED_MB, _ZIPPED_MB = 0.4, 0.8, 80.0, 30.0
#: The libraries without which no function works.
_BARE = "import botocore.session, chalice.app, pydantic.main, pymongo"
_TIMED = "import time; began = time.process_time(); {}; print(time.process_time() - began)"

Row = tuple[str, str, float, float]


def rows(*, smoke: bool) -> Iterator[Row]:
    """Yield what is measured, its unit, the value and the limit; nothing without a Python of the runtime."""
    if (python := interpreter.found(RUNTIME, os.environ)) is None:
        CONSOLE.log(f"no {RUNTIME} here, so the import of the functions is not measured")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = package.build("prod", vendor=True, folder=folder)
        place = folder / "task"
        with zipfile.ZipFile(built.code) as packed:
            packed.extractall(place)
            unpacked_mb = sum(entry.file_size for entry in packed.infolist()) / 2**20
        yield f"import of app, {RUNTIME}", "CPU s", _seconds(python, place, "import app", smoke=smoke), _WITH_SECONDS
        yield "import of four libraries", "CPU s", _seconds(python, place, _BARE, smoke=smoke), _WITH_SECONDS
        bytecode_mb = _without_bytecode(place) / 2**20
        yield "app without bytecode", "CPU s", _seconds(python, place, "import app", smoke=smoke), _WITHOUT_SECONDS
        yield "libraries without bytecode", "CPU s", _seconds(python, place, _BARE, smoke=smoke), _WITHOUT_SECONDS
        yield "package, unpacked", "MB", unpacked_mb, _UNPACKED_MB
        yield "package before bytecode", "MB", unpacked_mb - bytecode_mb, _UNPACKED_MB
        yield "package, zipped", "MB", built.code.stat().st_size / 2**20, _ZIPPED_MB
        if built.layer:
            with zipfile.ZipFile(built.layer) as packed:
                yield "layer, unpacked", "MB", sum(entry.file_size for entry in packed.infolist()) / 2**20, _UNPACKED_MB
            yield "layer, zipped", "MB", built.layer.stat().st_size / 2**20, _ZIPPED_MB


def _seconds(python: Path, place: Path, statement: str, *, smoke: bool) -> float:
    """Return the least CPU time of *statement* among several new processes, which write no bytecode, as on Lambda."""
    environ = {"PATH": os.defpath, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
    command: list[str | Path] = [python, "-s", "-c", _TIMED.format(statement)]
    # Python looks for modules in the working folder first.
    return min(
        float(subprocess.check_output(command, env=environ, text=True, cwd=place)) for _ in range(1 if smoke else 7)
    )


def _without_bytecode(place: Path) -> int:
    """Delete the bytecode below *place*; return how many bytes that were."""
    found = list(place.rglob("*.pyc"))
    size_bytes = sum(file.stat().st_size for file in found)
    for file in found:
        file.unlink()
    return size_bytes
