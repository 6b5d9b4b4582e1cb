"""Finds the stack that a command works on, and ends a command with a sentence if the stack cannot be reached."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError
from pymongo.errors import PyMongoError

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime.settings import BadSettings
from chalicelib.core.stores.binding import DatabaseRefused
from infra.environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from infra.operations.running_stack import Run

Result = TypeVar("Result")

#: The last paragraph of every `--help`.
STACKS = """
which stack:
  without --stage: the stack that scripts/up runs, or stage HOLDFAST_STAGE at AWS_ENDPOINT_URL if both are set;
  with --stage: the stage in the AWS account of your credentials, or at AWS_ENDPOINT_URL if set.
"""
#: Exit code of an interrupted command, as in shells.
INTERRUPTED = 130
#: Settings of a program that may wait longer than a function, because no caller waits for the program.
PATIENT = {"MONGODB_OPERATION_TIMEOUT_MS": "30000", "AWS_CLIENT_READ_TIMEOUT_SECONDS": "10"}
#: The replacement of a store takes under a minute; the pauses add up to about a minute.
_PAUSES_SECONDS = (0.5, 1, 2, 4, 8, 15, 15, 15)


class Target(NamedTuple):
    """The stage to work on.

    *known* is the environment of a stack on this machine. For a deployed stage *known* is empty, and `act_as` reads the
    environment of the stage's functions.
    """

    stage: str
    where: str
    client: Callable[[str], Any]
    known: Mapping[str, str]


class NoTarget(Exception):
    """No stack or collection was found to work on. The text says how to proceed."""


def stack_options() -> argparse.ArgumentParser:
    """Return the options that name a stack, as a parent parser for a command's own options."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--stage", help="a deployed stage; default: the stack that runs on this machine")
    data = "data folder of the stack on this machine (.holdfast)"
    shared.add_argument("--data", type=Path, default=ROOT / ".holdfast", metavar="DIR", help=data)
    return shared


def target_of(asked: argparse.Namespace, environ: Mapping[str, str]) -> Target:
    """Return the stack that the options name, else the stack that runs on this machine.

    Raises:
        NoTarget: no stack was named, and no stack runs on this machine, or psutil is missing to look for a stack.
    """
    session = botocore.session.get_session()
    stage, endpoint = asked.stage or environ.get("HOLDFAST_STAGE"), environ.get("AWS_ENDPOINT_URL")
    if asked.stage or (stage and endpoint):
        return Target(str(stage), endpoint or "AWS", session.create_client, {})
    run = _running(asked.data.resolve())
    if run is None or not run.url:
        raise NoTarget(
            f"No stack runs on {asked.data}. Start a stack with scripts/up, or name a deployed stage with --stage."
        )
    known = run.environment
    return Target(known["HOLDFAST_STAGE"], run.url, lambda service: _local_client(session, service, known), known)


def _running(folder: Path) -> Run | None:
    try:
        # Only the search for a stack on this machine needs psutil. A container has no psutil, and names its stage.
        from infra.operations import running_stack  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise NoTarget(
            f"A stack on this machine cannot be looked for without {error.name} (requirements-dev.txt). "
            "Name a deployed stage with --stage instead."
        ) from error
    return running_stack.read(folder)


def act_as(target: Target, **options: str) -> None:
    """Set the environment of this process to that of the functions of *target*, so that both use the same stores.

    Call before `wiring` reads the environment. *options* are settings of this process only. For a deployed stage, a
    MONGODB_URI of the environment wins, as in `scripts/deploy`: functions may reach the database by another name than
    operators.
    """
    given = target.known or _of_functions(target)
    if not target.known and "MONGODB_URI" in os.environ:
        given = {**given, "MONGODB_URI": os.environ["MONGODB_URI"]}
    os.environ.update({**given, **options})


def _of_functions(target: Target) -> Mapping[str, str]:
    name = f"holdfast-{target.stage}-api"
    function = target.client("lambda").get_function_configuration(FunctionName=name)
    found: dict[str, str] = function["Environment"]["Variables"]
    return found


def _local_client(session: Any, service: str, known: Mapping[str, str]) -> Any:
    return session.create_client(
        service,
        endpoint_url=known["AWS_ENDPOINT_URL"],
        region_name=known["AWS_REGION"],
        aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
    )


@contextmanager
def reporting(name: str) -> Iterator[None]:
    """Exit with a sentence if the command *name* fails because of its stack, a store or the settings."""
    try:
        yield
    except NoTarget as error:
        sys.exit(str(error))
    except ClientError as error:
        sys.exit(f"{name}: {error.response['Error']['Message']}")
    except (BadSettings, BotoCoreError, DatabaseRefused, PyMongoError, Unavailable) as error:
        sys.exit(f"{name}: {error}")


def patiently(call: Callable[[], Result], pause: Callable[[float], None] = sleep) -> Result:
    """Return the result of *call*. While a store is down, repeat *call* for about a minute.

    *call* must be safe to repeat.

    Raises:
        Unavailable: the store is still down after the last repeat.
    """
    for seconds in _PAUSES_SECONDS:
        try:
            return call()
        except Unavailable as error:
            print(f"{error} Trying again in {seconds} s.", file=sys.stderr)
            pause(seconds)
    return call()
