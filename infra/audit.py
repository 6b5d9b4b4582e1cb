"""Known vulnerabilities of the locked packages, by `pip-audit`, where its database can be reached."""

import json
import subprocess
import sys
from pathlib import Path

from infra.environment import ROOT
from infra.requirements import FILES

#: A database that has not answered for one package by then is out of reach.
REACHED_WITHIN_SECONDS = 7
#: An audit of all packages takes some seconds where the database is near.
DONE_WITHIN_SECONDS = 120
#: The files that together name every package.
_AUDITED = (FILES["laptop"], FILES["emulator"], FILES["browser"], FILES["bootstrap"])
_COMMAND = ("-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")


def vulnerabilities(files: list[Path], timeout_s: float | None = None) -> list[str] | None:
    """Return a line for each known vulnerability of the packages in *files*, or None where no verdict was reached.

    Each file locks its packages with hashes. No verdict is reached without the database, or after *timeout_s*.
    """
    named = [word for file in files for word in ("-r", str(file))]
    try:
        done = subprocess.run(
            [sys.executable, *_COMMAND, *named],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )
        # pip-audit ends with 1 for a vulnerability and for a failure; only a verdict is JSON.
        found = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
    return [
        f"{package['name']} {package['version']}: {flaw['id']}, fixed in {flaw['fix_versions'] or 'no version'}"
        for package in found
        for flaw in package.get("vulns", ())
    ]


def main() -> None:
    """Audit, as a command: fail with a line for each vulnerability, or say that the audit was skipped."""
    # One file with one package tells whether the database answers; all of them would take pip-audit minutes to give up.
    if vulnerabilities([ROOT / FILES["bootstrap"]], REACHED_WITHIN_SECONDS) is None:
        print(f"skipped: the database of pip-audit did not answer within {REACHED_WITHIN_SECONDS} s")
        return
    found = vulnerabilities([ROOT / file for file in _AUDITED], DONE_WITHIN_SECONDS)
    if found is None:
        # A mirror may know some packages and not others; that says nothing of the packages.
        print("skipped: the database of pip-audit answered for one package and not for all")
        return
    if found:
        raise SystemExit("\n".join(sorted(set(found))))
    print("no known vulnerabilities")


if __name__ == "__main__":
    main()
