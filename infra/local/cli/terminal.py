"""What the person at the terminal sees."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from infra.local.cli.log_follower import Event


class Shown(Protocol):
    """Whoever is told how a start goes."""

    def step(self, name: str, seconds: float) -> None:
        """Say that a step of the start is done."""

    def ready(self, url: str, password: str | None, seconds: float) -> None:
        """Say that callers can connect."""

    def failed(self, why: str) -> None:
        """Say that it did not start, or broke."""


class Screen:
    """A terminal, or a file that stands for one."""

    def __init__(self, *, raw_logs: bool = False) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._raw_logs = raw_logs

    def step(self, name: str, seconds: float) -> None:
        """Say that a step of the start is done."""
        self._console.print(Text.assemble("  ", ("✓", "green"), f" {name:<14} ", (f"{seconds:5.2f} s", "dim")))

    def ready(self, url: str, password: str | None, seconds: float) -> None:
        """Say that callers can connect; the password is shown this once."""
        print_ = self._console.print
        print_(Text.assemble("\n", ("Holdfast is up", "bold green"), f" after {seconds:.1f} s\n"))
        print_(Text.assemble("  API       ", (url, "bold"), f"   (try: curl {url}/health)"))
        if password:
            print_(Text.assemble("  user      admin\n  password  ", (password, "bold"), "   (not shown again)"))
        else:
            print_("  user      admin, with the password it was given")

    def failed(self, why: str) -> None:
        """Say that it did not start, or broke."""
        self._console.print(Text.assemble(("✗ ", "bold red"), why))

    def note(self, text: str) -> None:
        """Say something in passing."""
        self._console.print(Text(text, "dim"))

    def log(self, event: Event) -> None:
        """Show one line of a function."""
        if self._raw_logs:
            print(event.message, flush=True)
        else:
            self._console.print(line(event))


class Reporter:
    """Tells another process, through a pipe, what it shows in our place."""

    def __init__(self, pipe: int) -> None:
        self._pipe = os.fdopen(pipe, "w", buffering=1)

    def step(self, name: str, seconds: float) -> None:
        """Say that a step of the start is done."""
        self._tell("step", name=name, seconds=seconds)

    def ready(self, url: str, password: str | None, seconds: float) -> None:
        """Say that callers can connect. Nobody listens after that: the steps of a redeployment are told to no one."""
        self._tell("ready", url=url, password=password, seconds=seconds)
        self._pipe.close()

    def failed(self, why: str) -> None:
        """Say that it did not start."""
        self._tell("failed", why=why)

    def _tell(self, what: str, **said: Any) -> None:
        if self._pipe.closed:
            return
        # Whoever started us may have left without waiting.
        with suppress(BrokenPipeError):
            self._pipe.write(json.dumps([what, said]) + "\n")


def line(event: Event) -> Text:
    """Return one readable line; more only where it brings a traceback."""
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
    """Return what an invocation's own line says: outcome, what was asked, how long it took."""
    asked = " ".join(str(fields[name]) for name in ("method", "route") if name in fields)
    text = Text()
    if status := fields.get("status"):
        text.append(f"{status} ", severity({4: "WARNING", 5: "ERROR"}.get(status // 100, "INFO")))
    text.append(asked or str(fields.get("message", "")))
    text.append(f"  {fields['durationMs']:.0f} ms", "dim")
    return text


def severity(level: str | None) -> str:
    """Return how a line of *level* is coloured."""
    return {"ERROR": "bold red", "CRITICAL": "bold red", "WARNING": "yellow", "INFO": "green"}.get(level or "", "")
