"""Makes the Python environments of this repository, and remakes those whose requirement files changed.

    .venv             the laptop: local stack, tests, tools; and uv, which installs all other packages
    .venv/functions   the packages of a function, and no others
    .venv/emulator    the AWS emulator's own packages, on the same interpreter
    .venv/browser     with --browser: the tools that check and test the console

Functions run on a Python of their runtime on AWS if this machine has one, else on the laptop's (`infra.host.runtime`).
scripts/lock writes the requirement files, which name versions and hashes. Standard library only: this runs before any
package is installed. It prints the path of the laptop's interpreter.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    # A script finds the modules of its own folder alone.
    sys.path.insert(0, str(ROOT))

from infra.host import runtime  # noqa: E402 # found only now
from infra.host.installer import run, uv_settings  # noqa: E402
from infra.host.interpreter import WrongInterpreter  # noqa: E402

OLDEST = (3, 11)
#: The words of pip and uv about an index that cannot be reached.
UNREACHED = ("connection broken by", "error sending request for url")
REMEDY = "Correct the cause and run this again: nothing half-made is used. To start over: rm -r .venv"
UNANSWERED = """The package index does not answer. Check the network and the proxy, or name another index
in PIP_INDEX_URL; then run the command again: nothing half-made is used."""
USAGE = """usage: python3 infra/environment.py [--browser | --help]

Makes .venv, .venv/functions, .venv/emulator and, with --browser, .venv/browser where they are missing or their
requirement files have changed, then prints the path of .venv's python. Does nothing when all is up to date.
HOLDFAST_RUNTIME_PYTHON names the Python that functions run on; default: one of their runtime, or else python3."""


class EnvironmentFailed(Exception):
    """An environment could not be made; the text says why and what to do."""


class Environment(NamedTuple):
    """A virtual environment. *builds* admits packages without wheels.

    *interpreter* is empty for this Python. An environment *of_functions* has the interpreter that functions run on.
    """

    folder: str
    requirements: tuple[str, ...]
    stamped: str = "holdfast-stamp"
    interpreter: str = ""
    builds: bool = False
    of_functions: bool = False

    def python(self, root: Path) -> Path:
        """Return where its interpreter is, or will be."""
        return root / self.folder / "bin" / "python"

    def stamp(self, root: Path) -> Path:
        """Return the stamp: the file with the digest of what was installed, written last."""
        return root / self.folder / self.stamped

    def base(self, root: Path) -> str | None:
        """Return the interpreter of the environment, empty for this Python; None while none is chosen for functions."""
        if not self.of_functions:
            return self.interpreter
        choice = runtime.kept(root / LAPTOP.folder, os.environ)
        return choice.program if choice else None

    def wanted(self, root: Path) -> str:
        """Return what the stamp must say for the environment to be up to date."""
        # The patch level is left out: a distribution's security update keeps the environment.
        digest = hashlib.sha256(repr((sys.version_info[:2], sys.platform)).encode() + (self.base(root) or "").encode())
        for name in self.requirements:
            digest.update(name.encode() + b"\0" + (root / name).read_bytes() + b"\0")
        return digest.hexdigest()

    def ready(self, root: Path) -> bool:
        """Whether an earlier run finished it, from the same files, and its interpreter still exists."""
        try:
            stamp = self.stamp(root).read_text()
        except OSError:
            return False
        return self.base(root) is not None and stamp == self.wanted(root) and self.python(root).exists()


#: uv, which pip installs into the laptop's environment before all else.
BOOTSTRAP = Environment(".venv", ("infra/requirements.txt",), "holdfast-bootstrap")
LAPTOP = Environment(".venv", ("requirements-dev.txt", *BOOTSTRAP.requirements), builds=True)
FUNCTIONS = Environment(".venv/functions", ("requirements.txt",), of_functions=True)
EMULATOR = Environment(".venv/emulator", ("infra/local/requirements.txt",), of_functions=True)
BROWSER = Environment(".venv/browser", ("requirements-browser.txt",))
ALL = (LAPTOP, FUNCTIONS, EMULATOR)


def ensure(root: Path = ROOT, wanted: tuple[Environment, ...] = ALL) -> Path:
    """Make what is missing or outdated of *wanted* and return the laptop's interpreter.

    Safe to call at the same time from several processes: one makes, the others wait. An interrupted run
    leaves no stamp, so the next one starts that environment over.

    Raises:
        EnvironmentFailed: with the words of pip or uv.
    """
    if not all(environment.ready(root) for environment in wanted):
        check_interpreter()
        with locked(root / LAPTOP.folder):
            make(root, wanted)
    return LAPTOP.python(root)


def check_interpreter() -> None:
    """Raise EnvironmentFailed where this interpreter cannot make what we need."""
    if sys.version_info < OLDEST:
        found = "{}.{} ({})".format(*sys.version_info[:2], sys.executable)
        needed = f"Holdfast needs Python 3.11 or newer; python3 here is {found}."
        raise EnvironmentFailed(f"{needed}\nInstall a newer one and put it first on PATH.")
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


def make(root: Path, wanted: tuple[Environment, ...] = ALL) -> None:
    """Make all outdated environments of *wanted* side by side."""
    choice = choose(root)
    if not LAPTOP.ready(root) and not usable(LAPTOP, root):
        create(LAPTOP, root)  # everything is made anew then: the others stand inside
    runtime.keep(root / LAPTOP.folder, choice)
    if not BOOTSTRAP.ready(root):
        bootstrap(root)
    environ = uv_settings(str(LAPTOP.python(root)))

    def failure(environment: Environment) -> str:
        try:
            (update if environment is LAPTOP else replace)(environment, root, environ)
        except EnvironmentFailed as exc:
            return str(exc)
        return ""

    with ThreadPoolExecutor() as pool:
        failures = dict.fromkeys(pool.map(failure, [one for one in wanted if not one.ready(root)]))
    if texts := "\n".join(filter(None, failures)):
        raise EnvironmentFailed(texts)


def choose(root: Path) -> runtime.Choice:
    """Return the interpreter of the functions: the former one if it still holds."""
    if choice := runtime.kept(root / LAPTOP.folder, os.environ):
        return choice
    try:
        choice = runtime.chosen(os.environ)
    except WrongInterpreter as exc:
        raise EnvironmentFailed(str(exc)) from exc
    if choice.lacking:
        say(f"{choice.lacking} cannot make an environment, so functions run on {sys.executable}. Install its venv.")
    return choice


def usable(environment: Environment, root: Path) -> bool:
    """Whether its interpreter runs, is of our version and, where it has to, brings pip."""
    probe = f"import pip, sys; raise SystemExit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    python = environment.python(root)
    return python.exists() and run([str(python), "-I", "-c", probe]).returncode == 0


def create(environment: Environment, root: Path) -> None:
    """Make an empty environment; only the laptop's own gets pip, which serves the others too."""
    command = [environment.base(root) or sys.executable, "-I", "-m", "venv", "--clear", str(root / environment.folder)]
    with step(f"making {environment.folder}"):
        check(environment, run(command if environment is LAPTOP else [*command, "--without-pip"]))


def bootstrap(root: Path) -> None:
    """Install uv into the laptop's environment, with pip and its settings."""
    wanted, file = BOOTSTRAP.wanted(root), BOOTSTRAP.requirements[0]
    pip = [str(LAPTOP.python(root)), "-I", "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    with step(f"installing {file} into {BOOTSTRAP.folder}"):
        check(BOOTSTRAP, run([*pip, "--no-deps", "--no-compile", "--require-hashes", "-r", str(root / file)]))
    BOOTSTRAP.stamp(root).write_text(wanted)


def update(environment: Environment, root: Path, environ: dict[str, str]) -> None:
    """Make it hold the locked packages and no others, where it stands; without its stamp in the meantime."""
    wanted = environment.wanted(root)
    environment.stamp(root).unlink(missing_ok=True)
    install(environment, root, environ)
    environment.stamp(root).write_text(wanted)


def replace(environment: Environment, root: Path, environ: dict[str, str]) -> None:
    """Make the environment beside the old one, then exchange both: a stack that runs on the old one goes on."""
    wanted = environment.wanted(root)
    fresh = environment._replace(folder=f"{environment.folder}.part")
    create(fresh, root)
    install(fresh, root, environ)
    fresh.stamp(root).write_text(wanted)
    place, old = root / environment.folder, root / f"{environment.folder}.old"
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    (root / fresh.folder).rename(place)
    shutil.rmtree(old, ignore_errors=True)


def install(environment: Environment, root: Path, environ: dict[str, str]) -> None:
    """Install its locked packages with uv, which builds those without wheels with the laptop's setuptools."""
    files = [str(root / name) for name in environment.requirements]
    builds = ["--build-constraints", str(root / LAPTOP.requirements[0])] if environment.builds else ["--no-build"]
    # A function's process starts cold again and again, and would compile every package each time.
    options = ["--quiet", "--require-hashes", "--allow-empty-requirements", "--compile-bytecode", *builds]
    uv = [str(LAPTOP.python(root)), "-I", "-m", "uv", "pip", "sync", *options]
    with step(f"installing {environment.requirements[0]} into {environment.folder}"):
        check(environment, run([*uv, "--python", str(environment.python(root)), *files], environ))


def check(environment: Environment, done: subprocess.CompletedProcess[str]) -> None:
    """Raise EnvironmentFailed with the command's last words unless it ended well."""
    words = "\n".join(done.stdout.strip().splitlines()[-20:])
    if done.returncode:
        failed = f"{environment.folder} could not be made:\n{words}\n{REMEDY}"
        raise EnvironmentFailed(UNANSWERED if any(sign in words for sign in UNREACHED) else failed)


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
    if arguments and arguments != ["--browser"]:
        print(USAGE)
        return 0 if arguments[0] in ("-h", "--help") else 2
    try:
        print(ensure(wanted=(*ALL, BROWSER) if arguments else ALL))
    except KeyboardInterrupt:
        say("\nInterrupted. Nothing half-made is used; run the command again.")
        return 130
    except EnvironmentFailed as exc:
        say(str(exc))
        return 1
    except OSError as exc:
        say(f"{exc.filename}: {exc.strerror}. This user must be able to write .venv.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
