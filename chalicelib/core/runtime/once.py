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
        self._made: dict[Any, Made] = {}
        self._pending: dict[Any, Future[Made]] = {}
        self._turn = Lock()
        update_wrapper(self, make)
        _every.append(self)

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
        """Return the cached result for the arguments, or call the function."""
        key: Any = (args, frozenset(kwargs.items())) if kwargs else args
        try:
            return self._made[key]
        except KeyError:
            return self._first(key, lambda: self.make(*args, **kwargs))

    def _first(self, key: Any, make: Callable[[], Made]) -> Made:
        with self._turn:
            if key in self._made:
                return self._made[key]
            first = key not in self._pending
            pending = self._pending.setdefault(key, Future())
        if first:
            self._resolve(key, pending, make)
        return pending.result()

    def kept(self) -> int:
        """Return the number of cached results."""
        return len(self._made)

    def cache_clear(self) -> None:
        """Drop all cached results. The name is that of `functools.cache`."""
        self._made.clear()

    def _resolve(self, key: Any, pending: Future[Made], make: Callable[[], Made]) -> None:
        try:
            made = make()
        except BaseException as error:  # noqa: BLE001 # every waiting caller raises the error, this caller too
            self._pending.pop(key, None)
            pending.set_exception(error)
            return
        with self._turn:
            self._made[key] = made
            self._pending.pop(key, None)
        pending.set_result(made)


def forget() -> None:
    """Drop the cached results of every `once` of this process, for tests that change the environment."""
    for each in _every:
        each.cache_clear()


def kept() -> list[str]:
    """Return the names of the functions with cached results."""
    return [each.make.__qualname__ for each in _every if each.kept()]
