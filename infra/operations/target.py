"""The stack that a command works on, and how a command ends where that stack cannot be reached."""

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
from infra.environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from infra.operations.running_stack import Run

Result = TypeVar("Result")

#: Ends what `--help` says.
STACKS = """
which stack:
  without --stage, the one that scripts/up runs (or HOLDFAST_STAGE at AWS_ENDPOINT_URL, if that is set);
  with --stage, the account of your AWS credentials, or AWS_ENDPOINT_URL.
"""
#: What ends a command that was interrupted, as shells count it.
INTERRUPTED = 130
#: Settings of a program that may wait longer than a function, which is on its caller's time.
PATIENT = {"MONGODB_OPERATION_TIMEOUT_MS": "30000", "AWS_CLIENT_READ_TIMEOUT_SECONDS": "10"}
#: A store that is replaced is back within a minute; these pauses are that long.
_PAUSES_SECONDS = (0.5, 1, 2, 4, 8, 15, 15, 15)


class Target(NamedTuple):
    """The stage to work on. *known* is the environment of what runs here; a deployed stage is asked for its own."""

    stage: str
    where: str
    client: Callable[[str], Any]
    known: Mapping[str, str]


class NoTarget(Exception):
    """There is no stack to look at; says what to do."""


def stack_options() -> argparse.ArgumentParser:
    """Return the options that name a stack, to be a parent of a command's own."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--stage", help="a deployed stage; else the stack that runs here")
    shared.add_argument("--data", type=Path, default=ROOT / ".holdfast", metavar="DIR", help="its data (.holdfast)")
    return shared


def target_of(asked: argparse.Namespace, environ: Mapping[str, str]) -> Target:
    """Return the stack that the options name, else the stack that runs on this machine.

    Raises:
        NoTarget: no stack was named, and none runs here or none can be looked for.
    """
    session = botocore.session.get_session()
    stage, endpoint = asked.stage or environ.get("HOLDFAST_STAGE"), environ.get("AWS_ENDPOINT_URL")
    if asked.stage or (stage and endpoint):
        return Target(str(stage), endpoint or "AWS", session.create_client, {})
    run = _running(asked.data.resolve())
    if run is None or not run.url:
        raise NoTarget(f"Nothing runs on {asked.data}. Start it with scripts/up, or name a deployed one with --stage.")
    known = run.environment
    return Target(known["HOLDFAST_STAGE"], run.url, lambda service: _local(session, service, known), known)


def _running(folder: Path) -> Run | None:
    try:
        # A container has no psutil and names its stage: only the search for a stack on this machine needs the module.
        from infra.operations import running_stack  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise NoTarget(
            f"A stack on this machine cannot be looked for without {error.name} (requirements-dev.txt). "
            "Name a deployed one with --stage."
        ) from error
    return running_stack.read(folder)


def act_as(target: Target, **options: str) -> None:
    """Have this process find the stores of *target* as its functions do: `wiring` reads the environment after this.

    *options* are settings of this program alone. Of a deployed stage, a MONGODB_URI in the environment holds, as it
    does for `scripts/deploy`: functions may reach the database by another name than operators.
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


def _local(session: Any, service: str, known: Mapping[str, str]) -> Any:
    return session.create_client(
        service,
        endpoint_url=known["AWS_ENDPOINT_URL"],
        region_name=known["AWS_REGION"],
        aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
    )


@contextmanager
def reporting(name: str) -> Iterator[None]:
    """End the program with a sentence, where a stack or a store is the reason that *name* cannot go on."""
    try:
        yield
    except NoTarget as error:
        sys.exit(str(error))
    except ClientError as error:
        sys.exit(f"{name}: {error.response['Error']['Message']}")
    except (BadSettings, BotoCoreError, PyMongoError, Unavailable) as error:
        sys.exit(f"{name}: {error}")


def patiently(call: Callable[[], Result], pause: Callable[[float], None] = sleep) -> Result:
    """Return what *call* returns, which must be safe to repeat; a store that is down is waited for, for a minute.

    Raises:
        Unavailable: it is still down.
    """
    for seconds in _PAUSES_SECONDS:
        try:
            return call()
        except Unavailable as error:
            print(f"{error} Trying again in {seconds} s.", file=sys.stderr)
            pause(seconds)
    return call()
