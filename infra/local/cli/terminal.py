"""Reports a start on a terminal or through a pipe, and prints the functions' log records."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from infra.local.cli.log_follower import Event


class Reporter(Protocol):
    """Reports the progress of a start."""

    def step(self, name: str, seconds: float) -> None:
        """Report that a step of the start is done."""

    def warning(self, text: str) -> None:
        """Report a loss of data that the operator should act on."""

    def ready(
        self, url: str, receiver: str, admin: str, password: str | None, seconds: float, *, functions: str
    ) -> None:
        """Report that callers can connect."""

    def failed(self, why: str) -> None:
        """Report why the stack did not start, or why the stack ended."""


class Terminal:
    """Prints to standard output: a terminal, or a file in its place."""

    def __init__(self, *, raw_logs: bool = False) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._raw_logs = raw_logs

    def step(self, name: str, seconds: float) -> None:
        """Report that a step of the start is done."""
        self._console.print(Text.assemble("  ", ("✓", "green"), f" {name:<14} ", (f"{seconds:5.2f} s", "dim")))

    def warning(self, text: str) -> None:
        """Report a loss of data that the operator should act on."""
        self._console.print(Text.assemble(("! ", "bold yellow"), text))

    def ready(
        self, url: str, receiver: str, admin: str, password: str | None, seconds: float, *, functions: str
    ) -> None:
        """Report that callers can connect, and the state of the administrator. The password is never printed again."""
        print_ = self._console.print
        print_(Text.assemble("\n", ("Holdfast is up", "bold green"), f" after {seconds:.1f} s\n"))
        print_(Text.assemble("  API       ", (url, "bold"), f"   (try: curl {url}/health)"))
        print_(Text.assemble("  console   ", (f"{url}/console/", "bold"), "   (in a browser)"))
        if receiver:
            print_(Text.assemble("  receiver  ", (receiver, "bold"), "   (of callbacks; shown by the console)"))
        if functions:
            print_(Text.assemble("  functions ", functions))
        print_(Text.assemble("  user      admin, ", admin))
        if password:
            print_(Text.assemble("  password  ", (password, "bold"), "   (not shown again)"))

    def failed(self, why: str) -> None:
        """Report why the stack did not start, or why the stack ended."""
        self._console.print(Text.assemble(("✗ ", "bold red"), why))

    def note(self, text: str) -> None:
        """Print a remark."""
        self._console.print(Text(text, "dim"))

    def log(self, event: Event) -> None:
        """Print one line of a function's log."""
        if self._raw_logs:
            print(event.message, flush=True)
        else:
            self._console.print(line(event))


class PipeReporter:
    """Reports to another process, through a pipe."""

    def __init__(self, pipe: int) -> None:
        self._pipe = os.fdopen(pipe, "w", buffering=1)

    def step(self, name: str, seconds: float) -> None:
        """Report that a step of the start is done."""
        self._send("step", name=name, seconds=seconds)

    def warning(self, text: str) -> None:
        """Report a loss of data that the operator should act on."""
        self._send("warning", text=text)

    def ready(
        self, url: str, receiver: str, admin: str, password: str | None, seconds: float, *, functions: str
    ) -> None:
        """Report that callers can connect, and close the pipe. Later reports are dropped."""
        self._send(
            "ready", url=url, receiver=receiver, functions=functions, admin=admin, password=password, seconds=seconds
        )
        self._pipe.close()

    def failed(self, why: str) -> None:
        """Report why the stack did not start."""
        self._send("failed", why=why)

    def _send(self, kind: str, **arguments: Any) -> None:
        if self._pipe.closed:
            return
        # The process that started this one may have ended without waiting.
        with suppress(BrokenPipeError):
            self._pipe.write(json.dumps([kind, arguments]) + "\n")


def line(event: Event) -> Text:
    """Return the event as a readable line, followed by the traceback if the event has a traceback."""
    fields = event.fields
    text = Text(f"{event.at:%H:%M:%S.%f}"[:-3], "dim").append(f" {event.function:<10} ", "cyan")
    if "durationMs" in fields:
        text.append_text(invocation(fields))
    elif fields:
        text.append(f"{fields.get('level', '')} {fields.get('message', '')}", severity(fields.get("level")))
    else:
        text.append(event.message)
    if request := fields.get("requestId"):
        text.append(f"  {request}", "dim")
    if traceback := fields.get("exception"):
        text.append("\n" + str(traceback), "red")
    return text


def invocation(fields: dict[str, Any]) -> Text:
    """Return the summary of an invocation's log record: status, method and route, duration in ms."""
    asked = " ".join(str(fields[name]) for name in ("method", "route") if name in fields)
    text = Text()
    if status := fields.get("status"):
        text.append(f"{status} ", severity({4: "WARNING", 5: "ERROR"}.get(status // 100, "INFO")))
    text.append(asked or str(fields.get("message", "")))
    text.append(f"  {fields['durationMs']:.0f} ms", "dim")
    return text


def severity(level: str | None) -> str:
    """Return the style for a log record of *level*, empty for an unknown level."""
    return {"ERROR": "bold red", "CRITICAL": "bold red", "WARNING": "yellow", "INFO": "green"}.get(level or "", "")
