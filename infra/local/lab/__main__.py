"""``scripts/clock``: the command line."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from infra.environment import ROOT
from infra.local.lab.clock import Backwards
from infra.local.lab.lab import MOST_VISITS, Lab
from infra.local.lab.moment import duration, shown, target
from infra.operations import running_stack
from infra.operations.failures import CommandFailed, reporting
from infra.operations.servers import aws_session
from infra.operations.target import local_client

if TYPE_CHECKING:
    from infra.local.lab.journey import Visit

DESCRIPTION = """\
Shows the clock of the stack that scripts/up --lab runs, and moves the clock forward.

A jump visits every due moment on its way, in order: escalations, timeouts, retries. At each visit the sweep runs, and
so does each schedule whose interval has passed, once; then the jump waits until queues and streams are idle.
"""
EPILOG = """\
examples:
  scripts/clock                            show the stack's time and the next due moments
  scripts/clock +10h                       jump ten hours ahead, by way of every due moment
  scripts/clock +1d12h30min                units: s, min (or m), h, d, w
  scripts/clock 2027-03-28T01:59:00+01:00  jump to a moment, here just before an hour that is missing
  scripts/clock +365d --blind              jump at once; whatever fell due meanwhile is done late

Time only goes forward. Sessions may expire by a jump: sign in again, or call with an API key.
"""
#: The clock of a stack cannot go back, and argparse would take the word for an option.
_BACK = re.compile(r"-\d")


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    if any(_BACK.match(word) for word in arguments):
        raise Backwards("Time only goes forward: stored moments would contradict a step back.")
    parser = argparse.ArgumentParser(
        prog="scripts/clock",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("target", nargs="?", help="a duration such as +10h, or a time with its offset from UTC; default: show the time")
    add("--data", type=Path, default=ROOT / ".holdfast", metavar="DIR", help="data folder of the stack (.holdfast)")
    add("--blind", action="store_true", help="jump at once and visit nothing; refused while work runs")
    add("--visits", type=int, default=MOST_VISITS, metavar="N", help="stop after N visited moments (%(default)s)")
    asked = parser.parse_args(arguments)
    if asked.blind and not asked.target:
        parser.error("--blind needs a target")
    return asked


def main(arguments: list[str]) -> int:
    """Run the command and return the exit code."""
    with reporting("clock", "Interrupted. The clock stays where the last visit left it."):
        asked = parsed(arguments)
        with running(asked.data.resolve()) as lab:
            if asked.target:
                jump(lab, asked)
            show(lab)
    return 0


def running(folder: Path) -> Lab:
    """Return the lab of the stack that runs on *folder*.

    Raises:
        CommandFailed: no stack runs there, or its clock cannot be moved.
    """
    run = running_stack.read(folder)
    if run is None or not run.url:
        raise CommandFailed(f"No stack runs on {folder}. Start a stack with scripts/up --lab.")
    known = run.environment
    if "FAKETIME_TIMESTAMP_FILE" not in known:
        raise CommandFailed(
            f"The stack on {folder} runs at real time. End it with scripts/up --stop, and start it with --lab."
        )
    session = aws_session(os.environ)

    def client(service: str) -> object:
        return local_client(session, service, known)

    return Lab(folder, known, client, report)


def jump(lab: Lab, asked: argparse.Namespace) -> None:
    """Jump to the target of the command line."""
    moment = target(asked.target, lab.now())
    if asked.blind:
        lab.jump_to(moment)
    else:
        lab.advance_to(moment, most_visits=asked.visits)


def report(visit: Visit) -> None:
    """Print a visit."""
    print(f"{shown(visit.moment)}  {', '.join(visit.reasons):<24}  {visit.outcome or 'nothing to do'}", flush=True)


def show(lab: Lab) -> None:
    """Print the stack's time, and the due moments in order."""
    offset = lab.clock.offset_seconds
    print(f"The stack's clock shows {shown(lab.now())}, {duration(offset) + ' ahead' if offset else 'real time'}.")
    for name, moment in sorted(lab.due().items(), key=lambda each: each[1]):
        left = (moment - lab.now()).total_seconds()
        when = f"in {duration(left)}" if left > 0 else f"overdue for {duration(-left)}"
        print(f"  {shown(moment)}  {name}, {when}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
