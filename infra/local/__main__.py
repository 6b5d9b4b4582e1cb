"""``scripts/up``: the command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from infra.environment import ROOT
from infra.local.cli import commands
from infra.local.cli.data_folder import AlreadyRunning, Folder
from infra.operations.failures import CommandFailed, reporting, sentence

DESCRIPTION = """\
Starts the whole stack: a MongoDB, an AWS endpoint, the deployed application, and http://localhost:8000/ in front
of the application. Then shows the functions' logs until Ctrl-C. All processes listen on 127.0.0.1 and end with this
command.
"""
EPILOG = """\
examples:
  scripts/up                             start with the data of the last run
  scripts/up --fresh --port 9000         start empty, on another port
  scripts/up --reload                    deploy again whenever app.py, chalicelib/ or .chalice/ is saved
  scripts/up --lab                       start with a clock that scripts/clock can move forward
  scripts/up --detach                    start in the background
  scripts/up --status; scripts/up --stop show the stack in the background, then stop the stack
  eval "$(scripts/up --env)"             let your program reach the running stack, as .venv/bin/chalice local

environment:
  HOLDFAST_ADMIN_PASSWORD                password of the first administrator; default: generated and shown once
  MONGODB_URI                            use this MongoDB (6.0 or newer, a replica set) instead of starting a server
  MONGODB_DATABASE                       with MONGODB_URI: name of the database; default: in the path of the URI
  AWS_ENDPOINT_URL or LOCALSTACK_HOST    use this endpoint (LocalStack) instead of an emulator; needs MONGODB_URI
  HOLDFAST_RUNTIME_PYTHON                the Python 3.13 that functions run on; default: one on PATH or of pyenv, or
                                         else the python3 of this machine; the output says which version it is

Data stays in .holdfast/. A killed AWS endpoint loses its last seconds; the next start says so.
No other variable of your shell's environment reaches the functions.
"""


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/up", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--port", type=int, default=8000, help="port of the API (%(default)s); 0 takes a free one")
    add("--data", type=Path, default=ROOT / ".holdfast", metavar="DIR", help="data folder (.holdfast)")
    add("--fresh", action="store_true", help="delete the data before the start")
    add("--reload", action="store_true", help="deploy again whenever a source file is saved")
    add("--strict", action="store_true", help="be as strict as on AWS: no loopback callbacks, cookies for https alone")
    add("--lab", action="store_true", help="let scripts/clock move the clock of the stack (Linux on x86-64)")
    add("--json", action="store_true", help="show log records as JSON lines; with --status, a JSON object")
    instead = parser.add_mutually_exclusive_group()
    add = instead.add_argument
    add("--detach", action="store_true", help="start in the background; return when the stack is ready")
    add(
        "--stop",
        action="store_true",
        help="stop the stack on the data folder; return when all processes have ended",
    )
    add("--status", action="store_true", help="show the stack that runs on the data folder; exit code 1 if none runs")
    add("--env", action="store_true", help="print `export` lines for programs that use the running stack")
    # The write end of a pipe to the process that was called with --detach.
    add("--report", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    refuse_ignored(parser, asked)
    return asked


def refuse_ignored(parser: argparse.ArgumentParser, asked: argparse.Namespace) -> None:
    """Exit with the usage if an option would have no effect beside another one."""
    for other in ("stop", "status", "env"):
        for option in ("fresh", "reload", "lab", *([] if other == "status" else ["json"])):
            if getattr(asked, other) and getattr(asked, option):
                parser.error(f"--{option} has no effect with --{other}")


def main(arguments: list[str]) -> int:
    """Run the command and return the exit code."""
    asked = parsed(arguments)
    with reporting("up"):
        return chosen(asked)


def chosen(asked: argparse.Namespace) -> int:
    """Run the part of the command that *asked* names; return the exit code."""
    folder = Folder(asked.data.resolve())
    if asked.stop:
        return commands.stop(folder)
    if asked.status:
        return commands.status(folder, as_json=asked.json)
    if asked.env:
        return commands.environment(folder)
    return up(folder, asked)


def up(folder: Folder, asked: argparse.Namespace) -> int:
    """Start the stack, in this process or in the background; return the exit code."""
    # Imported here: the imports take half a second, which the other commands need not wait for.
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
            return Supervisor(
                folder,
                port=asked.port,
                reload=asked.reload,
                strict=asked.strict,
                lab=asked.lab,
                reporter=reporter,
                terminal=terminal,
            ).run()
    except AlreadyRunning:
        run = folder.read()
        where = run.url if run and run.url else "and is just starting"
        reporter.failed(f"It already runs: {where}. See scripts/up --status, or end it with scripts/up --stop")
        return 1
    except (CommandFailed, OSError) as error:
        # The data folder cannot be written, or its clock does not suit --lab.
        if (said := sentence(error)) is None:
            raise
        reporter.failed(said)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
