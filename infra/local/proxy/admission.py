"""How many requests may be in the API at once, and how long the others queue.

On two cores a hundred simultaneous first requests would start a hundred workers and all finish late. Waiting
routes are exempt: they cost no processor time, and what they wait for must get in.
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
    """A number of places, given in the order of arrival."""

    def __init__(self, places: int, queue_seconds: float) -> None:
        self._places = asyncio.Semaphore(places)
        self._queue_seconds = queue_seconds

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place for the length of the block.

        Raises:
            Crowded: none became free in time.
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
        """Whether a request for *path*, without its query, goes to one of them."""
        return (method, self._paths.find(path).resource) in self._routes
