"""Settings alone read the environment, and every import works with an empty environment."""

import os
import subprocess
import sys

from tests.architecture.source import MODULES, ROOT, place, verdict

READER = "chalicelib.core.runtime.settings"
#: Imports each module of its input in a single process, and prints the failures.
IMPORT_ALL = """
import importlib, sys
for name in sys.stdin.read().split():
    try:
        importlib.import_module(name)
    except BaseException as error:
        print(name, repr(error))
"""


def run_bare(script: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run *script* in a process with an empty environment."""
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, input=given, env=environment, capture_output=True, text=True, check=False)


def test_only_settings_read_the_environment() -> None:
    verdict(
        f"{place(path)} reads {word}: declare an option in a Section and read the settings"
        for module, path in MODULES.items()
        if module != READER
        for word in ("os.environ", "getenv")
        if word in path.read_text()
    )


def test_every_module_can_be_imported_with_an_empty_environment() -> None:
    done = run_bare(IMPORT_ALL, "\n".join([*MODULES, "app"]))
    assert done.returncode == 0, done.stderr
    verdict(
        f"importing {name} with an empty environment fails with {error}: read the option when it is first needed"
        for name, _, error in (line.partition(" ") for line in done.stdout.splitlines())
    )


def test_importing_the_application_makes_no_client_and_reads_no_settings() -> None:
    done = run_bare(
        "import app\n"
        "from chalicelib.core.runtime import once, settings\n"
        "assert once._every and not once.kept(), once.kept()\n"
        "assert settings.sections() and not settings._loaded\n"
    )
    assert done.returncode == 0, done.stderr
