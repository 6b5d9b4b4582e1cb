"""``scripts/up --detach``: starts the supervisor as a process of its own and shows how its start goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from infra.environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from infra.local.cli.terminal import Shown


def start(arguments: Sequence[str], log: Path, shown: Shown) -> int:
    """Return when it is ready (0), or has failed and ended. Its later words go to *log*; no password is among them."""
    log.parent.mkdir(parents=True, exist_ok=True)
    ours, theirs = os.pipe()
    command = [sys.executable, "-m", "infra.local", *arguments, "--report", str(theirs)]
    with os.fdopen(ours) as reports, log.open("wb") as words:
        supervisor = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs],
            start_new_session=True,
        )
        os.close(theirs)
        try:
            code = follow(reports, shown)
        except KeyboardInterrupt:
            supervisor.send_signal(signal.SIGTERM)
            code = 128 + signal.SIGINT
        if code:
            supervisor.wait()
        return code


def follow(reports: Iterable[str], shown: Shown) -> int:
    """Show each report until the last; without a last one the supervisor died."""
    say: dict[str, Callable[..., None]] = {"step": shown.step, "ready": shown.ready, "failed": shown.failed}
    for report in reports:
        what, said = json.loads(report)
        say[what](**said)
        if what != "step":
            return 0 if what == "ready" else 1
    shown.failed("It ended without a word.")
    return 1
