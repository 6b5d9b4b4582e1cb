"""The locked packages as Lambda will import them: those of the package, and those of the layer."""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import get_args

from chalicelib.core.stores import clients
from infra import requirements
from infra.deployment import bytecode
from infra.environment import ROOT
from infra.host import installer
from infra.host.interpreter import RUNTIME

#: Amazon Linux 2023 has glibc 2.34 and takes wheels for any older one.
PLATFORM = "x86_64-manylinux_2_34"


def of_package() -> Path:
    """Return a folder with the packages that every function has. Fetched once per content of the file.

    Raises:
        SystemExit: a package cannot be fetched; the text is uv's own.
    """
    return _fetched((ROOT / requirements.FILES["package"]).read_text())


def of_layer() -> Path:
    """Return a folder with the packages that only pushes need: those of all functions less those of the package.

    Raises:
        SystemExit: a package cannot be fetched; the text is uv's own.
    """
    every = ROOT / requirements.FILES["functions"]
    packaged = requirements.locked(ROOT / requirements.FILES["package"])
    return _fetched(requirements.without(every.read_text(), packaged))


def write_layer(file: Path, *, vendor: bool) -> None:
    """Write the layer as *file*: with *vendor* its packages as wheels for Lambda, else nothing but an empty folder.

    Equal packages give equal bytes. Without wheels, functions find the packages in place, like those of the package.

    Raises:
        SystemExit: a package cannot be fetched; the text is uv's own.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Path(name, "python")
        if vendor:
            shutil.copytree(of_layer(), place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.mkdir()
        bytecode.pack(Path(name), file)


def _fetched(locked: str) -> Path:
    """Return a folder with the packages that the text *locked* names."""
    key = hashlib.sha256(f"{locked}{RUNTIME}{PLATFORM}{clients.Service}".encode()).hexdigest()[:16]
    folder = ROOT / "build" / f"wheels-{key}"
    if folder.exists():
        return folder
    fetching, wanted = folder.with_suffix(".part"), folder.with_suffix(".txt")
    shutil.rmtree(fetching, ignore_errors=True)
    fetching.mkdir(parents=True)
    wanted.write_text(locked)
    # uv judges the markers of the file by the target, where pip would judge them by this interpreter.
    target = ["--target", str(fetching), "--python-platform", PLATFORM, "--python-version", RUNTIME[len("python") :]]
    options = ["--quiet", "--no-deps", "--require-hashes", "--no-build", "-r", str(wanted)]
    environ = installer.uv_settings(sys.executable)
    done = installer.run([sys.executable, "-m", "uv", "pip", "install", *target, *options], environ)
    wanted.unlink()
    if done.returncode:
        raise SystemExit(f"uv could not fetch the requirements for {RUNTIME}:\n{done.stdout}")
    shutil.rmtree(fetching / "bin", ignore_errors=True)
    (fetching / ".lock").unlink(missing_ok=True)
    _prune(fetching / "botocore/data")
    fetching.rename(folder)
    return folder


def _prune(descriptions: Path) -> None:
    """Leave out what botocore knows of services that no function talks to: most of the package, and of a cold start."""
    kept = set(get_args(clients.Service))
    for service in descriptions.iterdir() if descriptions.exists() else ():
        if service.is_dir() and service.name not in kept:
            shutil.rmtree(service)
