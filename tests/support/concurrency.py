"""Concurrent calls from many threads."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from chalicelib.core.errors import ServiceError

Result = TypeVar("Result")


def race(calls: Sequence[Callable[[], Result]]) -> list[Result | ServiceError]:
    """Make all *calls* at once; return the result or the `ServiceError` of each, in order."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], Result]) -> Result | ServiceError:
        gate.wait()
        try:
            return call()
        except ServiceError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))
