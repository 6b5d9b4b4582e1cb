"""What operators' commands share: which stack they work on, how far they are, and what a terminal may be shown."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime.settings import BadSettings
from infra.environment import ROOT
from infra.local.cli.data_folder import Folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Advance = Callable[[int], None]

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
#: What takes less needs no bar.
_SHOWN_AFTER_SECONDS = 2
#: Where nobody sees a bar, one line so often.
_LINE_EVERY_SECONDS = 10


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
    """Return the stack that was meant.

    Raises:
        NoTarget: none was named and none runs.
    """
    session = botocore.session.get_session()
    stage, endpoint = asked.stage or environ.get("HOLDFAST_STAGE"), environ.get("AWS_ENDPOINT_URL")
    if asked.stage or (stage and endpoint):
        return Target(str(stage), endpoint or "AWS", session.create_client, {})
    run = Folder(asked.data.resolve()).read()
    if run is None or not run.url:
        raise NoTarget(f"Nothing runs on {asked.data}. Start it with scripts/up, or name a deployed one with --stage.")
    known = run.environment
    return Target(known["HOLDFAST_STAGE"], run.url, lambda service: _local(session, service, known), known)


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


class Gauge:
    """Shows whoever looks on how far each task is, once it takes longer than two seconds."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Count(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._console = console
        self._said = monotonic()

    def begin(self, what: str, total: int, done: int = 0) -> Advance:
        """Begin a task of which *done* is done already, and return what it is told by."""
        task, started = self._bars.add_task(what, total=total, completed=done), monotonic()

        def advance(count: int) -> None:
            self._bars.advance(task, count)
            if not self._console.is_terminal and monotonic() - self._said > _LINE_EVERY_SECONDS:
                self._said = monotonic()
                self._say(task, done, monotonic() - started)

        return advance

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show it for the length of the block."""
        if not self._console.is_terminal:
            yield
            return
        # By a clock of its own: the first step may be the long one.
        timer = Timer(_SHOWN_AFTER_SECONDS, self._bars.start)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            self._bars.stop()

    def _say(self, task_id: TaskID, before: int, seconds: float) -> None:
        task = next(task for task in self._bars.tasks if task.id == task_id)
        figures = _figures(task, (task.completed - before) / seconds)
        self._console.print(f"{task.description}: {figures}", highlight=False)


class _Count(ProgressColumn):
    """Count, percent and rate."""

    def render(self, task: Task) -> Text:
        return Text(_figures(task, task.finished_speed or task.speed))


def _figures(task: Task, rate: float | None) -> str:
    # What a store says of its own size may be hours old, and nothing is more than done.
    total = max(task.total or 0, task.completed)
    percent = 100 * task.completed / total if total else 100
    return f"{task.completed:,.0f} of {total:,.0f} ({percent:.0f} %), {rate or 0:,.0f} per second"


@contextmanager
def progress() -> Iterator[Callable[..., Advance]]:
    """Show on the error stream how far each task is; what is yielded begins one, and returns what it is told by."""
    gauge = Gauge(Console(stderr=True))
    with gauge.shown():
        yield gauge.begin


def plain(text: str) -> str:
    """Return *text* without what a terminal would obey: anyone may have written it."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)
