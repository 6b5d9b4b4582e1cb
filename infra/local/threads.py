"""Runs tasks at the same time, each on a thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def together(tasks: Iterable[Callable[[], None]], failed: Callable[[], None] = lambda: None) -> None:
    """Run *tasks* at the same time; return when all have ended.

    At the first error *failed* is called, which may end the other tasks. The error is raised when all have ended.
    """
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(task) for task in tasks]
        try:
            for task in as_completed(running):
                task.result()
        except BaseException:
            failed()
            raise
