"""The time left to the current invocation, to which leases, waits and calls are clamped."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from time import monotonic
from typing import Any

from chalicelib.core.runtime.bound import Bound

_remaining: ContextVar[Callable[[], int] | None] = ContextVar("remaining", default=None)


def bind(context: Any) -> AbstractContextManager[None]:
    """Make `remaining_ms` ask the Lambda *context* inside the block; threads started inside have no limit."""
    return Bound(_remaining, context.get_remaining_time_in_millis)


def at_most(budget_ms: int) -> AbstractContextManager[None]:
    """Make `remaining_ms` return the rest of *budget_ms* inside the block, or the invocation's rest if shorter."""
    outer, ends = _remaining.get(), monotonic() + budget_ms / 1000

    def left() -> int:
        own = max(0, round((ends - monotonic()) * 1000))
        return own if outer is None else min(own, outer())

    return Bound(_remaining, left)


def remaining_ms() -> int | None:
    """Return the milliseconds left to the invocation, or None if there is no time limit."""
    ask = _remaining.get()
    return None if ask is None else ask()


def clamp_ms(wanted_ms: int, *, margin_ms: int = 0) -> int:
    """Return *wanted_ms*, or the invocation's remaining time less *margin_ms* if shorter; never below 0.

    The margin is time for the steps after the wait, such as sending a response.
    """
    left = remaining_ms()
    return wanted_ms if left is None else min(wanted_ms, max(0, left - margin_ms))


def allows(needed_ms: int) -> bool:
    """Return whether the invocation has *needed_ms* left; always true without a time limit."""
    left = remaining_ms()
    return left is None or left >= needed_ms
