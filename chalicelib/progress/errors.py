"""Errors of progress. Callers read the docstring of each class as the detail."""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import Conflict, NotFound


class ProgressNotFound(NotFound):
    """There is no such progress, or it has expired."""

    code = "progress-not-found"


class ProgressExists(Conflict):
    """The session id is in use. Choose another one."""

    code = "progress-exists"


class ProgressCompleted(Conflict):
    """The job is completed, and its progress no longer changes."""

    code = "progress-completed"


class RevisionConflict(Conflict):
    """The progress has another revision than the expected one."""

    code = "revision-conflict"

    def __init__(self, current: int) -> None:
        super().__init__()
        self._current = current

    def members(self) -> Mapping[str, Any]:
        """Return the current revision."""
        return {"currentRevision": self._current}


class WrittenHere(Conflict):
    """A job of this service itself, such as an activation, is not written by callers."""

    code = "progress-written-here"
