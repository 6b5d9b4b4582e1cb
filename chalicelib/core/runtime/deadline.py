"""How long the current invocation may still run: leases, waits and calls are clamped to that."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any

_remaining: ContextVar[Callable[[], int] | None] = ContextVar("remaining", default=None)


@contextmanager
def bind(context: Any) -> Iterator[None]:
    """Have `remaining_ms` ask the Lambda *context* inside the block; threads that begin there do not know of it."""
    token = _remaining.set(context.get_remaining_time_in_millis)
    try:
        yield
    finally:
        _remaining.reset(token)


@contextmanager
def at_most(budget_ms: int) -> Iterator[None]:
    """Have `remaining_ms` tell what is left of *budget_ms*, where the invocation does not end sooner."""
    outer, ends = _remaining.get(), monotonic() + budget_ms / 1000

    def left() -> int:
        own = max(0, round((ends - monotonic()) * 1000))
        return own if outer is None else min(own, outer())

    token = _remaining.set(left)
    try:
        yield
    finally:
        _remaining.reset(token)


def remaining_ms() -> int | None:
    """Return the milliseconds that are left, or None where nothing ends the process."""
    ask = _remaining.get()
    return None if ask is None else ask()


def clamp_ms(wanted_ms: int, *, margin_ms: int = 0) -> int:
    """Return *wanted_ms*, or what is left of the invocation less *margin_ms* where that is shorter; never below 0.

    The margin is for what must still happen afterwards, as an answer that has to be sent.
    """
    left = remaining_ms()
    return wanted_ms if left is None else min(wanted_ms, max(0, left - margin_ms))


def allows(needed_ms: int) -> bool:
    """Return whether *needed_ms* are left of the invocation; always where nothing ends the process."""
    left = remaining_ms()
    return left is None or left >= needed_ms
