"""Renews and reads the locked requirement files.

Each file names every package of one environment with its version and the hashes of its files, for Python 3.11 and newer
on Linux and macOS; that of LocalStack for the functions' runtime on Linux alone. The files hold no address of an index.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Container
from pathlib import Path

from infra import environment
from infra.environment import ROOT, EnvironmentFailed
from infra.host import installer
from infra.host.interpreter import RUNTIME

#: Each dependency group of pyproject.toml with the file that it is locked in. The laptop's group contains the server's
#: and the functions' groups, so it is resolved first and its file constrains the others.
FILES = {
    "laptop": "requirements-dev.txt",
    "server": "requirements-serve.txt",
    "functions": "requirements.txt",
    "package": "requirements-package.txt",
    "emulator": "infra/local/requirements.txt",
    "browser": "requirements-browser.txt",
    "localstack": "infra/conformance/requirements.txt",
    "bootstrap": "infra/requirements.txt",
}
_CONSTRAINED = ("server", "functions", "package")
#: Groups for one version of Python on Linux alone, with that version: other versions have no solution.
_SINGLE = {"localstack": RUNTIME.removeprefix("python")}
#: Further sources of this machine: they may lack the files of other systems, whose hashes would then be missing.
_OWN_SOURCES = ("UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
#: A file must be the same on every machine and for every index.
_FORM = ("--generate-hashes", "--no-header", "--no-emit-index-url", "--no-emit-find-links")
_PINNED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+))?", re.MULTILINE)


def locked(file: Path) -> dict[str, str]:
    """Return the version of each package that *file* names, whatever its marker, by normalized name."""
    return {normalized(found["name"]): found["version"] for found in _PINNED.finditer(file.read_text())}


def without(text: str, names: Container[str]) -> str:
    """Return the *text* of a requirement file without the packages *names*, which are normalized.

    Each package keeps its hashes.
    """
    # A package begins a line; its hashes and comments are indented.
    packages = re.split(r"^(?=\w)", text, flags=re.MULTILINE)
    return "".join(one for one in packages if (found := _PINNED.match(one)) and normalized(found["name"]) not in names)


def normalized(name: str) -> str:
    """Return the name under which a package is compared: lower case, words joined by one hyphen (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock(root: Path, upgrades: list[str]) -> None:
    """Write all requirement files of *root* anew.

    A version that a file names already is kept where the groups allow it, except for the packages of *upgrades*, which
    are given as options of uv. A failure leaves the files written so far; the next run completes them.

    Raises:
        EnvironmentFailed: with uv's own words.
    """
    oldest = ".".join(map(str, environment.OLDEST))
    settings = installer.uv_settings(sys.executable)
    environ = {key: value for key, value in settings.items() if key not in _OWN_SOURCES}
    for group, file in FILES.items():
        for_systems = ["--python-platform", "linux"] if group in _SINGLE else ["--universal"]
        command = ["pip", "compile", "--quiet", *_FORM, *for_systems, "--python-version", _SINGLE.get(group, oldest)]
        command += ["--group", f"pyproject.toml:{group}", "--output-file", file, *upgrades]
        if group in _CONSTRAINED:
            command += ["--constraints", FILES["laptop"]]
        done = subprocess.run(
            [sys.executable, "-m", "uv", *command],
            cwd=root,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise EnvironmentFailed(f"{file} could not be locked:\n{done.stderr.strip()}")
        print(f"{file}: {len(locked(root / file))} packages")


def main() -> None:
    """Lock, as a command."""
    parser = argparse.ArgumentParser(
        prog="scripts/lock",
        description="Write the requirement files from the dependency groups of pyproject.toml: every package with its "
        "version and hashes. Without an option, locked versions stay unless the groups demand others.",
        epilog="Needs a package index. Commit pyproject.toml and the requirement files together.",
    )
    parser.add_argument("--upgrade", action="store_true", help="renew every package that no group pins")
    parser.add_argument(
        "--upgrade-package", action="append", default=[], metavar="NAME", help="renew this package; may be repeated"
    )
    asked = parser.parse_args()
    upgrades = [word for name in asked.upgrade_package for word in ("--upgrade-package", name)]
    try:
        lock(ROOT, upgrades + ["--upgrade"] * asked.upgrade)
    except EnvironmentFailed as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
