"""Bounds the concurrent requests in the API, and the time that further requests queue.

On two cores a hundred simultaneous first requests would start a hundred workers and all finish late, and even eight
that start together keep their callers waiting for the last of them. So there are two places at first, and another
for each function instance that has answered: no more than two instances start at the same time, while those
that run answer the queue. A lost answer says that instances have died, and the places start again from two.

A request that waits for an answer costs no processor time, and the answer that ends the wait must not queue behind
it. The proxy cannot see whether a request waits. So a request to a route that may hold its caller gives its place
back once it has been in the API for longer than such a route works, and then counts among the held requests, which
are bounded too.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from infra.server.route_table import Paths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

#: Longer than a request works that does not wait, unless a function instance must start for it.
HELD_AFTER_SECONDS = 0.5
#: Above the places in the store (`WAITING_PLACES`), which are the first bound of requests that wait.
MOST_HELD = 64
#: Function instances that may start at the same time.
STARTING = 2


class Crowded(Exception):
    """No place became free in time."""


class Admission:
    """At most *places* requests, admitted in order of arrival, and a bound of held requests beside them."""

    def __init__(self, places: int, queue_seconds: float, most_held: int = MOST_HELD) -> None:
        self._most, self._open = places, min(places, STARTING)
        self._places = asyncio.Semaphore(self._open)
        #: Places that close as soon as their requests leave.
        self._closing = 0
        self._instances: set[str] = set()
        self._queue_seconds = queue_seconds
        self._held = asyncio.Semaphore(most_held)

    @asynccontextmanager
    async def place(self, *, may_wait: bool) -> AsyncIterator[None]:
        """Hold a place for the length of the block; with *may_wait*, exchange the place for a held one after a time.

        At most as many requests as there are places and held ones are inside a block at the same time.

        Raises:
            Crowded: no place became free in time.
        """
        try:
            async with asyncio.timeout(self._queue_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise Crowded from None
        exchange = asyncio.create_task(self._exchange()) if may_wait else None
        try:
            yield
        finally:
            if exchange and exchange.done() and not exchange.cancelled():
                self._held.release()
            else:
                if exchange:
                    exchange.cancel()
                self._leave()

    def answered(self, instance: str) -> None:
        """Open another place if *instance* has not answered before; "" for an answer without an instance."""
        if instance and instance not in self._instances:
            self._instances.add(instance)
            if self._open < self._most:
                self._open += 1
                self._leave()

    async def lost(self) -> None:
        """Forget the instances: an answer was lost, so some have died, and the next requests start others."""
        self._instances.clear()
        first = min(self._most, STARTING)
        self._closing += self._open - first
        self._open = first
        # Free places close now, others when their requests leave.
        while self._closing and not self._places.locked():
            await self._places.acquire()
            self._closing -= 1

    async def _exchange(self) -> None:
        """Give a place back once a held place is taken for it."""
        await asyncio.sleep(HELD_AFTER_SECONDS)
        await self._held.acquire()
        self._leave()

    def _leave(self) -> None:
        """Free a place, or close it."""
        if self._closing:
            self._closing -= 1
        else:
            self._places.release()


class Routes:
    """A set of methods and path templates such as ``/things/{id}``."""

    def __init__(self, routes: Iterable[tuple[str, str]] = ()) -> None:
        self._routes = frozenset(routes)
        self._paths = Paths({template for _, template in self._routes})

    def match(self, method: str, path: str) -> bool:
        """Whether a request for *path* (without query) goes to a route of the set."""
        return (method, self._paths.find(path).resource) in self._routes
