"""A run of ``scripts/up``: starts the stack, watches its processes, and stops the stack on a signal or a failure."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from infra.host import runtime
from infra.host.ports import PortTaken, free
from infra.host.processes import Identity
from infra.local.cli.log_follower import Follower
from infra.local.cli.reload import Reloader
from infra.local.deployer.fork_server import TaskFailed
from infra.local.lab.moment import duration, shown
from infra.local.processes.child import ChildFailed
from infra.local.stack import Stack
from infra.operations import failures
from infra.operations.running_stack import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.cli.data_folder import Folder
    from infra.local.cli.terminal import Reporter, Terminal
    from infra.local.processes.child import Child

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Errors of the stack whose text suffices, beside the expected errors of every command.
EXPECTED = (ChildFailed, PortTaken, TaskFailed)


class StopRequested(NamedTuple):
    """A signal asked this process to end."""

    number: int


class Started(NamedTuple):
    """Callers can connect."""


class Failed(NamedTuple):
    """The stack did not start."""

    error: BaseException


class Ended(NamedTuple):
    """A child ended by itself."""

    child: Child


class Supervisor:
    """Handles events in turn on the main thread. Long work runs on other threads."""

    def __init__(
        self,
        folder: Folder,
        *,
        port: int,
        reload: bool,
        strict: bool,
        lab: bool,
        reporter: Reporter,
        terminal: Terminal,
    ) -> None:
        self._folder = folder
        self._reload = reload
        self._reporter = reporter
        self._terminal = terminal
        self._began = time.monotonic()
        self._stack = Stack(
            folder.path, port, warm=reload, strict=strict, lab=lab, on_step=reporter.step, on_fault=terminal.note
        )
        self._events: SimpleQueue[StopRequested | Started | Failed | Ended] = SimpleQueue()
        self._helpers: list[Follower | Reloader] = []

    def run(self) -> int:
        """Run until a signal or a failure; return the exit code when all processes of the stack have ended."""
        for number in STOP_SIGNALS:
            # Under nohup a hang-up must not end the stack.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda received, _frame: self._events.put(StopRequested(received)))
        starting = self._aside("start", self._start)
        try:
            return self._react()
        finally:
            # The end has begun: a second Ctrl-C must not interrupt it.
            for number in STOP_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            for helper in self._helpers:
                helper.stop()
            self._stack.stop()
            starting.join(timeout=5)

    def _react(self) -> int:
        while True:
            match self._events.get():
                case StopRequested(number):
                    self._terminal.note("\nStopping.")
                    return 0 if self._helpers else 128 + number
                case Failed(error):
                    self._reporter.failed(explained(error))
                    return 1
                case Ended(child):
                    self._terminal.failed(str(child.failed("ended unexpectedly")))
                    return 1
                case Started():
                    self._go_on()

    def _start(self) -> None:
        try:
            self._stack.start()
        # The main thread reports it.
        except BaseException as exc:  # noqa: BLE001
            self._events.put(Failed(exc))
        else:
            self._events.put(Started())

    def _go_on(self) -> None:
        """Write the note of the running stack, start the helpers, and report that callers can connect."""
        stack, url = self._stack, f"http://localhost:{self._stack.front.port}"
        self._folder.write(Run(Identity.of(os.getpid()), url, stack.environment))
        for child in stack.children:
            self._aside(f"watch {child.name}", partial(self._watch, child))
        prefix = f"/aws/lambda/holdfast-{stack.stage}-"
        follower = Follower(
            stack.client("logs"), prefix, self._terminal.log, stack.front.stirred, drop=stack.owns_endpoint
        )
        self._helpers = [follower, *([Reloader(stack.redeploy, self._terminal.note)] if self._reload else [])]
        for helper in self._helpers:
            helper.start()
        if lost := stack.lost_state:
            self._reporter.warning(lost)
        if offset := stack.clock.offset_seconds:
            time_of_stack = f"{shown(stack.clock.now())}, {duration(offset)} ahead"
            self._reporter.warning(f"The clock of the stack shows {time_of_stack}. See scripts/clock.")
        seconds = time.monotonic() - self._began
        functions = runtime.sentence(stack.emulator.python_version) if stack.owns_endpoint else ""
        self._reporter.ready(
            url, stack.receiver_url, stack.admin_state, stack.admin_password, seconds, functions=functions
        )

    def _watch(self, child: Child) -> None:
        with suppress(ChildFailed):
            child.wait()
        self._events.put(Ended(child))

    def _aside(self, name: str, task: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=task, name=name, daemon=True)
        thread.start()
        return thread


def explained(error: BaseException) -> str:
    """Return the text about *error* for the user at the terminal: a sentence, or a traceback for a bug."""
    if isinstance(error, PortTaken):
        return f"{error} End it, or choose another port: scripts/up --port {free(error.port + 1)}"
    if isinstance(error, EXPECTED):
        return str(error)
    if (said := failures.sentence(error)) is not None:
        return said
    return "".join(traceback.format_exception(error))
