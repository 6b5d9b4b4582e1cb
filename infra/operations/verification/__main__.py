"""``scripts/verify``: the command line."""

from __future__ import annotations

import os
import sys
from time import monotonic
from typing import TYPE_CHECKING

from infra.local.cli.terminal import Terminal
from infra.operations.account import VARIABLE, account
from infra.operations.failures import CommandFailed, reporting
from infra.operations.target import parser_of
from infra.operations.verification.address import url_of
from infra.operations.verification.steps import Verification

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from infra.operations.account import Account

DESCRIPTION = """\
Verifies a deployed stage by using its API as an administrator: every store is ready, a question is asked and answered
while a caller waits, an application is made, changed and approved, every version reaches the history by the stream,
and the ledger is intact. Then the application is deleted and the session is ended, also after a fault.

No money moves. The administrator is asked, so the administrator's devices get a push; webhooks get the events of the
question and of the application. The history of a deleted application stays, as that of every other.
"""
EPILOG = f"""\
examples:
  scripts/verify                     the stack that runs on this machine
  scripts/verify --stage prod        the stage prod in the AWS account of your credentials
  scripts/verify --url https://api.example.org    an API at an address of its own, without credentials of AWS

The password is that of {VARIABLE}; without the variable, a terminal asks.

exit code: 0 if all is well, 1 after the first fault, 130 if interrupted.
"""


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = parser_of("scripts/verify", DESCRIPTION, EPILOG)
    parser.add_argument("--url", metavar="URL", help="address of the API; default: that of the stage's stack")
    parser.add_argument("--username", default="admin", metavar="NAME", help="administrator (%(default)s)")
    return parser.parse_args(arguments)


def run(owner: Account, terminal: Terminal) -> None:
    """Verify the API of *owner*, and report each step with its time. What was made is removed, also after a fault.

    Raises:
        CommandFailed: the first fault, and what remains.
    """
    verification, fault = Verification(owner), ""
    try:
        for name, step in verification.steps():
            _timed(terminal, name, step)
    except CommandFailed as error:
        fault = f"{name}: {error}"
    except BaseException:
        # Ctrl-C, or a bug.
        for sentence in _removed(terminal, verification):
            print(sentence, file=sys.stderr)
        raise
    remains = _removed(terminal, verification)
    if fault or remains:
        raise CommandFailed(" ".join(filter(None, [fault, *remains])))


def _removed(terminal: Terminal, verification: Verification) -> list[str]:
    """Remove what was made; return a sentence for each thing that remains."""
    if not verification.made:
        return []
    began = monotonic()
    if not (remains := verification.remove()):
        terminal.step("removal", monotonic() - began)
    return remains


def _timed(terminal: Terminal, name: str, step: Callable[[], None]) -> None:
    began = monotonic()
    step()
    terminal.step(name, monotonic() - began)


def main(arguments: list[str]) -> int:
    """Run the command and return the exit code."""
    asked = parsed(arguments)
    with reporting("verify", "Interrupted. What was made is removed, unless it is named above."):
        url = url_of(asked, os.environ)
        owner = account(url, asked.username, os.environ)
        print(f"verifying {url} as {owner.username}", flush=True)
        began = monotonic()
        run(owner, Terminal())
        print(f"All is well, after {monotonic() - began:.1f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
