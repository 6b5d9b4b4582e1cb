"""Finds the stack that a command works on, and lets the command wait for a store that is down."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError

from chalicelib.core.errors import Unavailable
from infra.environment import ROOT
from infra.operations.failures import CommandFailed
from infra.operations.servers import aws_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.operations.running_stack import Run

Result = TypeVar("Result")

#: The last paragraph of every `--help`.
STACKS = """
which stack:
  without --stage: the stack that scripts/up runs, or stage HOLDFAST_STAGE at AWS_ENDPOINT_URL if both are set;
  with --stage: the stage in the AWS account of your credentials, or at AWS_ENDPOINT_URL if set.
"""
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


class NoTarget(CommandFailed):
    """No stack or collection was found to work on. The text says how to proceed."""


def stack_options() -> argparse.ArgumentParser:
    """Return the options that name a stack, as a parent parser for a command's own options."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--stage", help="a deployed stage; default: the stack that runs on this machine")
    data = "data folder of the stack on this machine (.holdfast)"
    shared.add_argument("--data", type=Path, default=ROOT / ".holdfast", metavar="DIR", help=data)
    return shared


def parser_of(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Return the parser of a command that works on a stack, with the options that name the stack."""
    return argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog + STACKS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[stack_options()],
    )


def target_of(asked: argparse.Namespace, environ: Mapping[str, str]) -> Target:
    """Return the stack that the options name, else the stack that runs on this machine.

    Raises:
        NoTarget: no stack was named, and no stack runs on this machine, or psutil is missing to look for a stack.
    """
    session = aws_session(environ)
    stage, endpoint = asked.stage or environ.get("HOLDFAST_STAGE"), environ.get("AWS_ENDPOINT_URL")
    if asked.stage or (stage and endpoint):
        return Target(str(stage), endpoint or "AWS", session.create_client, {})
    run = _running(asked.data.resolve())
    if run is None or not run.url:
        raise NoTarget(
            f"No stack runs on {asked.data}. Start a stack with scripts/up, or name a deployed stage with --stage."
        )
    known = run.environment
    return Target(known["HOLDFAST_STAGE"], run.url, lambda service: local_client(session, service, known), known)


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
    try:
        function = target.client("lambda").get_function_configuration(FunctionName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise not_deployed(target) from error
    found: dict[str, str] = function["Environment"]["Variables"]
    return found


def not_deployed(target: Target) -> NoTarget:
    """Return the error for a stage without a deployment."""
    return NoTarget(
        f"Stage {target.stage} is not deployed at {target.where}, in the region and account of the environment. Deploy "
        f"the stage with scripts/deploy, or correct --stage, AWS_REGION or the credentials."
    )


def local_client(session: Any, service: str, known: Mapping[str, str]) -> Any:
    """Return a client of *service* at the endpoint of a stack on this machine, whose environment is *known*."""
    return session.create_client(
        service,
        endpoint_url=known["AWS_ENDPOINT_URL"],
        region_name=known["AWS_REGION"],
        aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
    )


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
