"""Bundles the packages of the console into one file, with their versions, licences and hashes. Needs npm's registry."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from infra.environment import BROWSER, ROOT
from infra.operations.failures import CommandFailed

VENDOR = ROOT / "chalicelib/console/ui/vendor"
_ENTRY, _BUNDLE = "ui.entry.mjs", "ui.js"
_HEAD = """// @ts-nocheck
// @ts-self-types="./ui.d.ts"
// Preact, htm and signals as one file. Made by scripts/vendor; lock.json has versions and licences.
"""


def main() -> None:
    """Bundle, as a command.

    Raises:
        CommandFailed: with the words of deno.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in (_ENTRY, "deno.json"):
            shutil.copy(VENDOR / source, folder)
        options = ["--quiet", "--node-modules-dir=auto", "--platform", "browser", "--minify"]
        _deno(folder, "bundle", *options, "--output", _BUNDLE, _ENTRY)
        (VENDOR / _BUNDLE).write_text(_HEAD + (folder / _BUNDLE).read_text())
        packages = [_package(folder, key, lock) for key, lock in sorted(_locked(folder).items())]
    licences = [f"{one['name']} {one['version']}, {one['licence']}\n\n{one.pop('text')}\n" for one in packages]
    (VENDOR / "LICENSES.txt").write_text("\n\n".join(licences))
    files = {_BUNDLE: hashlib.sha256((VENDOR / _BUNDLE).read_bytes()).hexdigest()}
    (VENDOR / "lock.json").write_text(json.dumps({"files": files, "packages": packages}, indent=2) + "\n")
    print(f"{VENDOR.relative_to(ROOT)}: {', '.join(one['name'] + ' ' + one['version'] for one in packages)}")


def _deno(folder: Path, *arguments: str) -> None:
    command = [str(ROOT / BROWSER.folder / "bin/deno"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise CommandFailed(done.stderr.strip())


def _locked(folder: Path) -> dict[str, Any]:
    """Return each package with its integrity, by name and version."""
    locked: dict[str, Any] = json.loads((folder / "deno.lock").read_text())["npm"]
    return locked


def _package(folder: Path, key: str, lock: dict[str, str]) -> dict[str, str]:
    """Return name, version, licence, integrity and licence text of *key*, such as ``@a/b@1.0.0_c@2.0.0``."""
    name = key[: key.index("@", 1)]
    (place,) = sorted((folder / "node_modules/.deno").glob(f"*/node_modules/{name}/package.json"))[:1]
    about = json.loads(place.read_text())
    return {
        "name": name,
        "version": about["version"],
        "licence": about["license"],
        "integrity": lock["integrity"],
        "text": (place.parent / "LICENSE").read_text().strip(),
    }


if __name__ == "__main__":
    main()
