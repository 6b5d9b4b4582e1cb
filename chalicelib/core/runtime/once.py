"""Memoizes, thread-safe: a process makes each of its clients and stores once, however many threads ask for it."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import update_wrapper
from threading import Lock
from typing import Any, Generic, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


_every: "list[once[Any, Any]]" = []


class once(Generic[Arguments, Made]):  # noqa: N801 # a decorator
    """As `functools.cache`, which lets threads that ask together each make one of their own.

    Whoever asks while it is being made waits, and gets what comes of that, be it an error. What could not be made is
    tried again for whoever asks next. It must not ask for itself.
    """

    def __init__(self, make: Callable[Arguments, Made]) -> None:
        #: Makes another one, which is not kept.
        self.make = make
        self._kept: dict[Any, Future[Made]] = {}
        self._turn = Lock()
        update_wrapper(self, make)
        _every.append(self)

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
        """Return what was made for these arguments, or make it."""
        key = (args, frozenset(kwargs.items()))
        if (kept := self._kept.get(key)) is None:
            with self._turn:
                first = key not in self._kept
                kept = self._kept.setdefault(key, Future())
            if first:
                self._fill(key, kept, lambda: self.make(*args, **kwargs))
        return kept.result()

    def kept(self) -> int:
        """Return how many are kept."""
        return len(self._kept)

    def cache_clear(self) -> None:
        """Forget what was made; it is named as in `functools`."""
        self._kept.clear()

    def _fill(self, key: Any, kept: Future[Made], make: Callable[[], Made]) -> None:
        try:
            kept.set_result(make())
        except BaseException as error:  # noqa: BLE001 # it is raised by whoever waits, and that is this caller too
            self._kept.pop(key, None)
            kept.set_exception(error)


def forget() -> None:
    """Forget what every `once` of this process has made: for tests, whose environment changes."""
    for each in _every:
        each.cache_clear()


def kept() -> list[str]:
    """Return the names of the functions that have made something."""
    return [each.make.__qualname__ for each in _every if each.kept()]
