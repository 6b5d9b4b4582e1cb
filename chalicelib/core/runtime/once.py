"""A thread-safe memoizer: a process makes each client and store once, for any number of concurrent callers."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import update_wrapper
from threading import Lock
from typing import Any, Generic, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


_every: "list[once[Any, Any]]" = []


class once(Generic[Arguments, Made]):  # noqa: N801 # a decorator
    """A decorator like `functools.cache` that calls the function once also for concurrent threads.

    Concurrent callers block and share the result or the exception. A failure is not cached: the next caller tries
    again. The function must not call itself with the same arguments, or the call would block for ever.
    """

    def __init__(self, make: Callable[Arguments, Made]) -> None:
        #: The undecorated function: returns a new object and keeps nothing.
        self.make = make
        self._kept: dict[Any, Future[Made]] = {}
        self._turn = Lock()
        update_wrapper(self, make)
        _every.append(self)

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
        """Return the cached result for the arguments, or call the function."""
        key = (args, frozenset(kwargs.items()))
        if (kept := self._kept.get(key)) is None:
            with self._turn:
                first = key not in self._kept
                kept = self._kept.setdefault(key, Future())
            if first:
                self._resolve(key, kept, lambda: self.make(*args, **kwargs))
        return kept.result()

    def kept(self) -> int:
        """Return the number of cached results."""
        return len(self._kept)

    def cache_clear(self) -> None:
        """Drop all cached results. The name is that of `functools.cache`."""
        self._kept.clear()

    def _resolve(self, key: Any, kept: Future[Made], make: Callable[[], Made]) -> None:
        try:
            kept.set_result(make())
        except BaseException as error:  # noqa: BLE001 # every waiting caller raises the error, this caller too
            self._kept.pop(key, None)
            kept.set_exception(error)


def forget() -> None:
    """Drop the cached results of every `once` of this process, for tests that change the environment."""
    for each in _every:
        each.cache_clear()


def kept() -> list[str]:
    """Return the names of the functions with cached results."""
    return [each.make.__qualname__ for each in _every if each.kept()]
