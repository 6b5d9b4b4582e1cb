"""How long the current invocation may still run: leases and waits are cut to fit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_remaining: ContextVar[Callable[[], int] | None] = ContextVar("remaining", default=None)


@contextmanager
def of(context: Any) -> Iterator[None]:
    """Make `remaining_ms` tell what the Lambda *context* says, for what happens inside."""
    token = _remaining.set(context.get_remaining_time_in_millis)
    try:
        yield
    finally:
        _remaining.reset(token)


def remaining_ms() -> int | None:
    """Return the milliseconds that are left, or None where nothing ends the process."""
    ask = _remaining.get()
    return None if ask is None else ask()


def cut(wanted_ms: int) -> int:
    """Return *wanted_ms*, or what is left where that is less: nothing outlives the invocation it serves."""
    left = remaining_ms()
    return wanted_ms if left is None else min(wanted_ms, max(0, left))
