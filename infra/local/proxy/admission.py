"""Bounds the concurrent requests in the API, and the time that further requests queue.

On two cores a hundred simultaneous first requests would start a hundred workers and all finish late. Routes that hold a
request are exempt: a held request costs no processor time, and the answer that ends the wait must not queue behind it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from infra.server.route_table import Paths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


class Crowded(Exception):
    """No place became free in time."""


class Admission:
    """A number of places, given to requests in order of arrival."""

    def __init__(self, places: int, queue_seconds: float) -> None:
        self._places = asyncio.Semaphore(places)
        self._queue_seconds = queue_seconds

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place for the length of the block.

        Raises:
            Crowded: no place became free in time.
        """
        try:
            async with asyncio.timeout(self._queue_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise Crowded from None
        try:
            yield
        finally:
            self._places.release()


class Routes:
    """A set of methods and path templates such as ``/things/{id}``."""

    def __init__(self, routes: Iterable[tuple[str, str]] = ()) -> None:
        self._routes = frozenset(routes)
        self._paths = Paths({template for _, template in self._routes})

    def match(self, method: str, path: str) -> bool:
        """Whether a request for *path* (without query) goes to a route of the set."""
        return (method, self._paths.find(path).resource) in self._routes
