"""Tells the server of this process that the current request waits: a waiting request needs a thread and no core.

A long-running server binds its own bound of waiting requests around each request. A function serves one request at a
time and binds nothing.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar

from chalicelib.core.runtime.bound import Bound

#: Counts the current request among the waiting requests of the process, or returns False if they are too many.
Begin = Callable[[], bool]

_begin: ContextVar[Begin | None] = ContextVar("begin", default=None)


def bind(begin: Begin) -> AbstractContextManager[None]:
    """Make `begin` call *begin* inside the block."""
    return Bound(_begin, begin)


def begin() -> bool:
    """Say that the current request waits from now on; return False if the process can hold no further request.

    Safe to repeat within a request. Always true in a process without a bound.
    """
    ask = _begin.get()
    return ask is None or ask()
