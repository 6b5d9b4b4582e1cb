"""The progress of an operator's command on a terminal, and text that a terminal may show safely."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Timer
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Advance = Callable[[int], None]

#: A shorter task needs no bar.
_SHOWN_AFTER_SECONDS = 2
#: Seconds between two lines where there is no terminal.
_LINE_EVERY_SECONDS = 10


class Gauge:
    """Shows the progress of each task: on a terminal as a bar after two seconds, else as a line every ten seconds."""

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
        self._last_line = monotonic()

    def begin(self, name: str, total: int, done: int = 0) -> Advance:
        """Start a progress bar with *done* already complete; return a callback that advances it."""
        task, started = self._bars.add_task(name, total=total, completed=done), monotonic()

        def advance(count: int) -> None:
            self._bars.advance(task, count)
            if not self._console.is_terminal and monotonic() - self._last_line > _LINE_EVERY_SECONDS:
                self._last_line = monotonic()
                self._print_line(task, done, monotonic() - started)

        return advance

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show progress for the length of the block."""
        if not self._console.is_terminal:
            yield
            return
        # A timer starts the bars, because the first step may take longest.
        timer = Timer(_SHOWN_AFTER_SECONDS, self._bars.start)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            self._bars.stop()

    def _print_line(self, task_id: TaskID, before: int, seconds: float) -> None:
        task = next(task for task in self._bars.tasks if task.id == task_id)
        state = _state(task, (task.completed - before) / seconds)
        self._console.print(f"{task.description}: {state}", highlight=False)


class _Count(ProgressColumn):
    """Count, percent and rate."""

    def render(self, task: Task) -> Text:
        return Text(_state(task, task.finished_speed or task.speed))


def _state(task: Task, rate: float | None) -> str:
    # The size that a store reports may be hours old, so the total is raised to the completed count.
    total = max(task.total or 0, task.completed)
    percent = 100 * task.completed / total if total else 100
    return f"{task.completed:,.0f} of {total:,.0f} ({percent:.0f} %), {rate or 0:,.0f} per second"


@contextmanager
def progress() -> Iterator[Callable[..., Advance]]:
    """Show the progress of tasks on standard error; yield the function that begins a task (`Gauge.begin`)."""
    gauge = Gauge(Console(stderr=True))
    with gauge.shown():
        yield gauge.begin


def escaped(text: str) -> str:
    r"""Return *text* with each unprintable character as ``\uXXXX``, so that foreign text cannot control a terminal."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)
