"""``scripts/up --detach``: starts the supervisor as a process of its own and passes its reports on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from infra.environment import ROOT
from infra.host import logfile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from infra.local.cli.terminal import Reporter


def start(arguments: Sequence[str], log: Path, reporter: Reporter) -> int:
    """Return 0 when the stack is ready, or another code when the start has failed and the supervisor has ended.

    The supervisor's later output goes to *log*, which its owner alone can read and which never holds a password.
    """
    ours, theirs = os.pipe()
    command = [sys.executable, "-m", "infra.local", *arguments, "--report", str(theirs)]
    with os.fdopen(ours) as reports, logfile.opened(log) as output:
        supervisor = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
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
    """Pass each report on to *reporter* until "ready" or "failed". Without a final report the supervisor has died.

    Return 0 after "ready", else 1.
    """
    methods: dict[str, Callable[..., None]] = {
        "step": reporter.step,
        "warning": reporter.warning,
        "ready": reporter.ready,
        "failed": reporter.failed,
    }
    for report in reports:
        kind, arguments = json.loads(report)
        methods[kind](**arguments)
        if kind in {"ready", "failed"}:
            return 0 if kind == "ready" else 1
    reporter.failed("The supervisor ended without a report; see up.log in the data folder.")
    return 1
