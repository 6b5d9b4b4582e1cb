"""``scripts/up --detach``: starts the supervisor as a process of its own and passes its reports on."""

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

    from infra.local.cli.terminal import Reporter


def start(arguments: Sequence[str], log: Path, reporter: Reporter) -> int:
    """Return 0 when the stack is ready, or another code when it has failed and ended.

    Later output goes to *log*; no password is in it.
    """
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
            code = follow(reports, reporter)
        except KeyboardInterrupt:
            supervisor.send_signal(signal.SIGTERM)
            code = 128 + signal.SIGINT
        if code:
            supervisor.wait()
        return code


def follow(reports: Iterable[str], reporter: Reporter) -> int:
    """Pass each report on to *reporter* until the last; without a last one the supervisor died."""
    methods: dict[str, Callable[..., None]] = {
        "step": reporter.step,
        "ready": reporter.ready,
        "failed": reporter.failed,
    }
    for report in reports:
        what, said = json.loads(report)
        methods[what](**said)
        if what != "step":
            return 0 if what == "ready" else 1
    reporter.failed("It ended without a word.")
    return 1
