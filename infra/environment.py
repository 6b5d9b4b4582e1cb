"""Makes the three Python environments of this repository, and remakes what their requirement files outgrew.

    .venv             the laptop: local stack, tests, tools
    .venv/functions   what functions can import, and nothing else
    .venv/emulator    the AWS emulator's own packages

Standard library only: this runs before anything is installed. It prints the path of the laptop's interpreter.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
#: Of pip's own settings (an index, a proxy) all hold, save those that would install somewhere else.
PIP_ELSEWHERE = frozenset({"PIP_PREFIX", "PIP_PYTHON", "PIP_ROOT", "PIP_TARGET", "PIP_USER"})
USAGE = """usage: python3 infra/environment.py [--help]

Makes .venv, .venv/functions and .venv/emulator where they are missing or where their requirement
files have changed, then prints the path of .venv's python. Does nothing when all is up to date."""


class EnvironmentFailed(Exception):
    """An environment could not be made; the text says why and what to do."""


class Environment(NamedTuple):
    """One virtual environment and the requirement files it is made from."""

    folder: str
    requirements: tuple[str, ...]

    def python(self, root: Path) -> Path:
        """Return where its interpreter is, or will be."""
        return root / self.folder / "bin" / "python"

    def stamp(self, root: Path) -> Path:
        """Return the file that says what was installed; it is written last."""
        return root / self.folder / "holdfast-stamp"

    def wanted(self, root: Path) -> str:
        """Return what the stamp must say for the environment to be up to date."""
        # The patch level is left out: a distribution's security update keeps the environment.
        digest = hashlib.sha256(repr((sys.version_info[:2], sys.platform)).encode())
        for name in self.requirements:
            digest.update(name.encode() + b"\0" + (root / name).read_bytes() + b"\0")
        return digest.hexdigest()

    def ready(self, root: Path) -> bool:
        """Whether an earlier run finished it, from the same files, and its interpreter still exists."""
        try:
            stamp = self.stamp(root).read_text()
        except OSError:
            return False
        return stamp == self.wanted(root) and self.python(root).exists()


LAPTOP = Environment(".venv", ("requirements-dev.txt", "requirements-serve.txt", "requirements.txt"))
FUNCTIONS = Environment(".venv/functions", ("requirements.txt",))
EMULATOR = Environment(".venv/emulator", ("infra/local/requirements.txt",))
ALL = (LAPTOP, FUNCTIONS, EMULATOR)


def ensure(root: Path = ROOT) -> Path:
    """Make what is missing or outdated and return the laptop's interpreter.

    Safe to call at the same time from several processes: one makes, the others wait. An interrupted run
    leaves no stamp, so the next one starts that environment over.

    Raises:
        EnvironmentFailed: with pip's own words.
    """
    if not all(environment.ready(root) for environment in ALL):
        check_interpreter()
        with locked(root / LAPTOP.folder):
            make(root)
    return LAPTOP.python(root)


def check_interpreter() -> None:
    """Raise EnvironmentFailed where this interpreter cannot make what we need."""
    if sys.version_info < OLDEST:
        found = "{}.{}".format(*sys.version_info[:2])
        raise EnvironmentFailed(
            f"Holdfast needs Python 3.11 or newer; python3 here is {found} ({sys.executable}).\n"
            "Install a newer one and put it first on PATH."
        )
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian ships it in a package of its own
        import venv  # noqa: F401, PLC0415
    except ImportError as exc:
        raise EnvironmentFailed(
            f"{sys.executable} cannot make virtual environments ({exc.name} is missing).\n"
            "On Debian and Ubuntu: sudo apt-get install python3-venv"
        ) from exc


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold *folder* against other processes; the system lets go when we die."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another run to finish the environments.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def make(root: Path) -> None:
    """Make all that are outdated side by side; their installs are bound by one core each."""
    if not LAPTOP.ready(root) and not usable(LAPTOP, root):
        # Everything is made anew then: the others stand inside.
        create(LAPTOP, root)
    failures: list[EnvironmentFailed] = []

    def attempt(environment: Environment) -> None:
        try:
            if environment is LAPTOP:
                update(environment, root)
            else:
                replace(environment, root)
        except EnvironmentFailed as exc:
            failures.append(exc)

    threads = [threading.Thread(target=attempt, args=[one]) for one in ALL if not one.ready(root)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise EnvironmentFailed("\n".join(str(failure) for failure in failures))


def usable(environment: Environment, root: Path) -> bool:
    """Whether its interpreter runs, is of our version and, where it has to, brings pip."""
    probe = f"import pip, sys; raise SystemExit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    python = environment.python(root)
    return python.exists() and run([str(python), "-I", "-c", probe]).returncode == 0


def create(environment: Environment, root: Path) -> None:
    """Make an empty environment; only the laptop's own gets pip, which serves the others too."""
    pip = [] if environment is LAPTOP else ["--without-pip"]
    folder = root / environment.folder
    with step(f"making {environment.folder}"):
        check(environment, run([sys.executable, "-I", "-m", "venv", "--clear", *pip, str(folder)]))


def update(environment: Environment, root: Path) -> None:
    """Install its requirements where it stands; without its stamp in the meantime."""
    wanted = environment.wanted(root)
    environment.stamp(root).unlink(missing_ok=True)
    install(environment, root)
    environment.stamp(root).write_text(wanted)


def replace(environment: Environment, root: Path) -> None:
    """Make it anew beside the old one and put it in its place.

    So what left a requirement file also leaves the environment, and a stack that runs on the old one keeps running.
    """
    wanted = environment.wanted(root)
    fresh = environment._replace(folder=f"{environment.folder}.part")
    create(fresh, root)
    install(fresh, root)
    fresh.stamp(root).write_text(wanted)
    place, old = root / environment.folder, root / f"{environment.folder}.old"
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    (root / fresh.folder).rename(place)
    shutil.rmtree(old, ignore_errors=True)


def install(environment: Environment, root: Path) -> None:
    """Install its requirements with the laptop's pip."""
    pip = [str(LAPTOP.python(root)), "-I", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    target = [
        "--python",
        str(environment.python(root)),
        "install",
        "-r",
        str(root / environment.requirements[0]),
    ]
    with step(f"installing {environment.requirements[0]} into {environment.folder}"):
        check(environment, run(pip + target))


def check(environment: Environment, done: subprocess.CompletedProcess[str]) -> None:
    """Raise EnvironmentFailed with the command's last words unless it ended well."""
    if done.returncode:
        words = "\n".join(done.stdout.strip().splitlines()[-20:])
        raise EnvironmentFailed(
            f"{environment.folder} could not be made:\n{words}\n"
            "If the package index was not reachable, check the network (or `pip config list`) and run this\n"
            "again: nothing half-made is used. To start over: rm -r .venv"
        )


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run *command* without the caller's Python settings, its words kept together."""
    environ = {
        key: value for key, value in os.environ.items() if not key.startswith("PYTHON") and key not in PIP_ELSEWHERE
    }
    return subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@contextmanager
def step(doing: str) -> Iterator[None]:
    """Say what is being done and, if it ends well, how long it took."""
    began = time.monotonic()
    say(f"  … {doing}")
    yield
    say(f"  ✓ {doing}: {time.monotonic() - began:.1f} s")


def say(line: str) -> None:
    """Progress goes to stderr; stdout carries only the path."""
    print(line, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Print the laptop's interpreter, once it exists."""
    if arguments:
        print(USAGE)
        return 0 if arguments[0] in ("-h", "--help") else 2
    try:
        print(ensure())
    except EnvironmentFailed as exc:
        say(str(exc))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
