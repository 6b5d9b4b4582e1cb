"""Runs pip and uv with the caller's settings, except for those that would change where packages go.

Standard library only: this runs before any package is installed.
"""

from __future__ import annotations

import ast
import os
import subprocess
from subprocess import DEVNULL, PIPE, STDOUT

#: Settings of the caller that would install somewhere else, or without a look at the hashes.
ELSEWHERE = frozenset(
    {"PIP_PREFIX", "PIP_PYTHON", "PIP_ROOT", "PIP_TARGET", "PIP_USER"}
    | {"UV_MANAGED_PYTHON", "UV_NO_VERIFY_HASHES", "UV_PROJECT", "UV_SYSTEM_PYTHON", "UV_WORKING_DIR"}
)
#: Settings of pip that say where packages come from; uv's variable for each, and the separator of its values.
HANDED_OVER = {
    "cert": ("SSL_CERT_FILE", " "),
    "extra-index-url": ("UV_EXTRA_INDEX_URL", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "proxy": ("ALL_PROXY", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
}


def run(command: list[str], environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run *command* with *environ*, or else without the caller's Python settings, its words kept together."""
    environ = settings() if environ is None else environ
    return subprocess.run(command, env=environ, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, text=True, check=False)


def settings() -> dict[str, str]:
    """Return the caller's environment variables without those that would change where packages go."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON") and key not in ELSEWHERE}
    # Five retries, pip's own number, take half a minute where there is no network.
    return {"PIP_RETRIES": "1", **kept}


def uv_settings(python: str) -> dict[str, str]:
    """Return `settings` with those of *python*'s pip in uv's words. The caller's own settings of uv come first."""
    listed = run([python, "-I", "-m", "pip", "--disable-pip-version-check", "config", "list"]).stdout
    environ = {}
    # pip lists the settings of its files before those of its variables, which hold over them.
    for key, _, value in (line.partition("=") for line in listed.splitlines()):
        name = key.rpartition(".")[2]
        if name in HANDED_OVER and key.startswith(("global.", "install.", ":env:.")):
            variable, separator = HANDED_OVER[name]
            environ[variable] = separator.join(ast.literal_eval(value).split())
    # As pip does: the newest of all indexes. The hashes decide which file is taken.
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **environ, **settings()}
