"""What a process makes when it is first asked for: once, however many threads ask at that moment."""

from collections.abc import Callable
from functools import cache, update_wrapper
from threading import RLock
from typing import Generic, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


class once(Generic[Arguments, Made]):  # noqa: N801 # a decorator
    """As `functools.cache`, which lets threads that ask together each make one of their own.

    Whoever asks while it is being made waits for it. What could not be made is tried again by whoever asks next.
    """

    def __init__(self, make: Callable[Arguments, Made]) -> None:
        #: Makes another one, which is not kept.
        self.make = make
        # Reentrant: a destructor may ask, on this thread, while it is being made.
        self._kept, self._turn = cache(make), RLock()
        self.cache_clear, self.cache_info = self._kept.cache_clear, self._kept.cache_info
        update_wrapper(self, make)

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
        """Return what was made for these arguments, or make it."""
        with self._turn:
            return self._kept(*args, **kwargs)  # type: ignore[arg-type] # what it is asked with can be a key
