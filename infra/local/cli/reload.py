"""Redeploys when the application's sources change."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from watchfiles import DefaultFilter, watch

from infra.environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchfiles import Change

#: The packaged sources. For a file, its folder is watched, because editors replace a file instead of writing into it.
SOURCES = (ROOT / "app.py", ROOT / "chalicelib", ROOT / ".chalice", ROOT / "infra/deployment/resources.yaml")


class Sources(DefaultFilter):
    """Lets through changes of packaged sources, and no temporary files of editors, Python or chalice."""

    def __call__(self, change: Change, path: str) -> bool:
        """Whether *path* is a packaged source."""
        return super().__call__(change, path) and any(Path(path).is_relative_to(source) for source in SOURCES)


class Reloader:
    """Watches the sources and calls *redeploy* after each change, one call at a time, on a thread of its own."""

    def __init__(self, redeploy: Callable[[], None], show: Callable[[str], None]) -> None:
        self._redeploy = redeploy
        self._show = show
        self._stopping = threading.Event()
        self._changed: SimpleQueue[set[Path]] = SimpleQueue()

    def start(self) -> None:
        """React to changes from now on."""
        trees = [source for source in SOURCES if source.is_dir()]
        folders = {source.parent for source in SOURCES if not source.is_dir()}
        for task in (partial(self._watch, trees, recursive=True), partial(self._watch, folders), self._react):
            threading.Thread(target=task, name="reload", daemon=True).start()

    def stop(self) -> None:
        """Stop watching. A running redeployment is not waited for."""
        self._stopping.set()

    def _watch(self, folders: Iterable[Path], *, recursive: bool = False) -> None:
        # Changes during a redeployment are queued, and deployed next.
        for changes in watch(
            *folders, watch_filter=Sources(), recursive=recursive, stop_event=self._stopping, raise_interrupt=False
        ):
            self._changed.put({Path(path) for _, path in changes})

    def _react(self) -> None:
        while True:
            paths = self._changed.get()
            while not self._changed.empty():
                paths |= self._changed.get()
            self._deploy(paths)

    def _deploy(self, paths: set[Path]) -> None:
        names = ", ".join(sorted(str(path.relative_to(ROOT)) for path in paths))
        if fault := syntax_fault(paths):
            self._show(f"{fault}\nThe code before that change keeps serving.")
            return
        began = time.monotonic()
        try:
            self._redeploy()
        # Any error is shown, and the next change may repair the code.
        except Exception as exc:  # noqa: BLE001
            if not self._stopping.is_set():
                self._show(f"{names} cannot be deployed; the code before that change keeps serving.\n{exc}")
        else:
            self._show(f"{names} serves after {time.monotonic() - began:.1f} s")


def syntax_fault(paths: Iterable[Path]) -> str:
    """Return where and why a Python file of *paths* does not parse, an empty text if all parse."""
    for path in paths:
        if path.suffix == ".py" and path.exists():
            try:
                compile(path.read_bytes(), str(path), "exec")
            except (SyntaxError, ValueError) as exc:
                return f"{path.relative_to(ROOT)} does not parse: {exc}"
    return ""
