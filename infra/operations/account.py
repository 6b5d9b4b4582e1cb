"""The administrator whom a command acts as. The password is in neither the command line nor the output."""

from __future__ import annotations

import getpass
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from infra.deployment.first_admin import VARIABLE
from infra.operations.failures import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VARIABLE", "Account", "account"]


class Account(NamedTuple):
    """An administrator of the API at *url*."""

    url: str
    username: str
    password: str


def account(url: str, username: str, environ: Mapping[str, str]) -> Account:
    """Return the administrator *username*; a password that *environ* does not have is asked for on the terminal.

    Raises:
        CommandFailed: no password is given, and nobody is there to be asked.
    """
    password = environ.get(VARIABLE)
    if not password and sys.stdin.isatty():
        with suppress(EOFError):
            password = getpass.getpass(f"Password of {username}: ")
    if not password:
        raise CommandFailed(f"No password of {username} is given. Set {VARIABLE}, or type the password on a terminal.")
    return Account(url, username, password)
