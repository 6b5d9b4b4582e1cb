"""Redeploys when the application's sources change."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import DefaultFilter, watch

from infra.environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchfiles import Change

#: What is packaged. Folders are watched rather than files: editors replace a file instead of writing to it.
SOURCES = (ROOT / "app.py", ROOT / "chalicelib", ROOT / ".chalice", ROOT / "infra" / "resources.yaml")


class Sources(DefaultFilter):
    """Lets through what is packaged, and nothing that editors, Python or chalice leave beside it."""

    def __call__(self, change: Change, path: str) -> bool:
        """Whether *path* is one of the sources."""
        return super().__call__(change, path) and any(Path(path).is_relative_to(source) for source in SOURCES)


class Reloader:
    """Watches the sources in a thread of its own and calls *redeploy* after each change; one call at a time."""

    def __init__(self, redeploy: Callable[[], None], show: Callable[[str], None]) -> None:
        self._redeploy = redeploy
        self._show = show
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="reload", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer; a redeployment at work is left to itself."""
        self._stopping.set()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            # Folders may have come or gone with the last change.
            changes = watch(
                *folders(), watch_filter=Sources(), recursive=False, stop_event=self._stopping, raise_interrupt=False
            )
            if paths := {Path(path) for _, path in next(changes, ())}:
                self._react(paths)

    def _react(self, paths: set[Path]) -> None:
        names = ", ".join(sorted(str(path.relative_to(ROOT)) for path in paths))
        if fault := syntax_fault(paths):
            self._show(f"{fault}\nThe code before that change keeps serving.")
            return
        began = time.monotonic()
        try:
            self._redeploy()
        # Whatever the change broke, the next one may mend it.
        except Exception as exc:  # noqa: BLE001
            self._show(f"{names} cannot be deployed; the code before that change keeps serving.\n{exc}")
        else:
            self._show(f"{names} serves after {time.monotonic() - began:.1f} s")


def folders() -> list[Path]:
    """Return every folder that holds sources."""
    nested = [folder for source in SOURCES if source.is_dir() for folder in source.rglob("*") if folder.is_dir()]
    return [ROOT, ROOT / "infra", *(source for source in SOURCES if source.is_dir()), *nested]


def syntax_fault(paths: Iterable[Path]) -> str:
    """Return where and why one of the Python files does not parse; nothing if all do."""
    for path in paths:
        if path.suffix == ".py" and path.exists():
            try:
                compile(path.read_bytes(), str(path), "exec")
            except (SyntaxError, ValueError) as exc:
                return f"{path.relative_to(ROOT)} does not parse: {exc}"
    return ""
