"""``scripts/up``: the command line."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from infra.environment import ROOT
from infra.local.cli import commands
from infra.local.cli.data_folder import AlreadyRunning, Folder

DESCRIPTION = """\
Starts Holdfast whole: a MongoDB, an AWS endpoint, the deployed application, and http://localhost:8000/ in front
of it. Then shows what the functions log, until Ctrl-C. Everything runs on 127.0.0.1 and ends with this command.
"""
EPILOG = """\
examples:
  scripts/up                             start, on the data of the last time
  scripts/up --fresh --port 9000         start empty, on another port
  scripts/up --reload                    deploy again whenever app.py, chalicelib/ or .chalice/ is saved
  scripts/up --detach                    start in the background ...
  scripts/up --status; scripts/up --stop ... look at it, and end it
  eval "$(scripts/up --env)"             let a program of yours reach the running stack (chalice local, a debugger)

environment:
  HOLDFAST_ADMIN_PASSWORD                password of the first administrator; else one is made and shown once
  MONGODB_URI                            use this MongoDB (6.0 or newer, a replica set) instead of one of our own
  AWS_ENDPOINT_URL or LOCALSTACK_HOST    use this endpoint (LocalStack) instead of one of our own

Data stays in .holdfast/. Nothing of your shell's environment reaches the functions.
"""


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="scripts/up", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--port", type=int, default=8000, help="port of the API (%(default)s); 0 takes a free one")
    add("--data", type=Path, default=ROOT / ".holdfast", metavar="DIR", help="where data stays (.holdfast)")
    add("--fresh", action="store_true", help="delete that data first")
    add("--reload", action="store_true", help="deploy again on save")
    add("--json", action="store_true", help="show the functions' log lines as they are")
    instead = parser.add_mutually_exclusive_group()
    add = instead.add_argument
    add("--detach", action="store_true", help="start in the background and return when it is ready")
    add("--stop", action="store_true", help="end what runs on the data, and wait for its end")
    add("--status", action="store_true", help="show what runs on the data; exit code 1 if nothing does")
    add("--env", action="store_true", help="print `export` lines for programs that are to reach it")
    # The write end of a pipe to the process that was called with --detach.
    add("--report", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Do what was asked for and return the exit code."""
    asked = parsed(arguments)
    folder = Folder(asked.data.resolve())
    if asked.stop:
        return commands.stop(folder)
    if asked.status:
        return commands.status(folder)
    if asked.env:
        return commands.environment(folder)
    return up(folder, asked)


def up(folder: Folder, asked: argparse.Namespace) -> int:
    """Start, here or in the background."""
    # Only here, as these take half a second that the other commands need not wait.
    from infra.local.cli import detach  # noqa: PLC0415
    from infra.local.cli.terminal import PipeReporter, Terminal  # noqa: PLC0415

    terminal = Terminal(raw_logs=asked.json)
    if asked.detach:
        passed = [word for word in sys.argv[1:] if word != "--detach"]
        return detach.start(passed, folder.path / "up.log", terminal)
    reporter = terminal if asked.report is None else PipeReporter(asked.report)
    try:
        with folder.held():
            from infra.local.cli.supervisor import Supervisor  # noqa: PLC0415

            if asked.fresh:
                folder.wipe()
            folder.reclaim()
            return Supervisor(folder, port=asked.port, reload=asked.reload, reporter=reporter, terminal=terminal).run()
    except AlreadyRunning:
        run = folder.read()
        where = run.url if run and run.url else "and is just starting"
        reporter.failed(f"It already runs: {where}. See scripts/up --status, or end it with scripts/up --stop")
        return 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
