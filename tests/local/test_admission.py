"""Bounds of the proxy: its port, requests at work, held requests, and bodies that come slowly."""

import asyncio
import http.client
import socket
from collections.abc import Iterator

import pytest
import requests

from infra.host import ports
from infra.local.proxy import admission, forward
from infra.local.proxy.admission import Admission, Crowded
from infra.local.proxy.server import Front
from tests.support.upstream import Upstream


@pytest.fixture
def front(upstream: Upstream) -> Iterator[Front]:
    """A proxy that admits two requests at once."""
    made = Front(admitted=2, queue_seconds=0.5)
    made.point(upstream.url, [])
    made.start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def held_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "HELD_AFTER_SECONDS", 0.01)


class Room:
    """An admission with requests inside; each stays until `leave`."""

    def __init__(self, places: int, most_held: int) -> None:
        self.admission = Admission(places, 0.3, most_held)
        self._leave = asyncio.Event()
        self._inside: list[asyncio.Task[None]] = []

    async def enter(self, *, may_wait: bool) -> bool:
        """Send one request in; return whether it was admitted."""
        entered = asyncio.Event()
        task = asyncio.create_task(self._stay(entered, may_wait=may_wait))
        inside = asyncio.create_task(entered.wait())
        await asyncio.wait([task, inside], return_when=asyncio.FIRST_COMPLETED)
        inside.cancel()
        if task.done():
            with pytest.raises(Crowded):
                task.result()
            return False
        self._inside.append(task)
        return True

    async def _stay(self, entered: asyncio.Event, *, may_wait: bool) -> None:
        async with self.admission.place(may_wait=may_wait):
            entered.set()
            await self._leave.wait()

    async def leave(self) -> None:
        self._leave.set()
        await asyncio.gather(*self._inside)
        self._inside.clear()
        self._leave.clear()


def test_requests_inside_never_exceed_places_and_held_together() -> None:
    async def scene() -> None:
        room = Room(places=2, most_held=3)
        for _ in range(2):
            # Five hold, and the sixth finds neither; afterwards every place is free again.
            assert [await room.enter(may_wait=True) for _ in range(7)] == [True] * 5 + [False] * 2
            await room.leave()

    asyncio.run(scene())


def test_request_that_leaves_early_frees_exactly_one_place() -> None:
    async def scene() -> None:
        room = Room(places=2, most_held=5)
        for _ in range(5):
            await room.enter(may_wait=True)
            await room.leave()
        assert [await room.enter(may_wait=False) for _ in range(3)] == [True, True, False]
        await room.leave()

    asyncio.run(scene())


def test_each_instance_that_has_answered_opens_a_place() -> None:
    async def scene() -> None:
        room = Room(places=4, most_held=0)
        # Given two places at first
        assert [await room.enter(may_wait=False) for _ in range(3)] == [True, True, False]
        # When instances answer, some more than once, then each opens one place, up to the most
        for instance in ("a", "a", "", "b", "c"):
            room.admission.answered(instance)
        assert [await room.enter(may_wait=False) for _ in range(3)] == [True, True, False]
        await room.leave()
        # When an answer is lost, then two instances start at the same time again
        await room.admission.lost()
        assert [await room.enter(may_wait=False) for _ in range(3)] == [True, True, False]
        room.admission.answered("d")
        assert [await room.enter(may_wait=False) for _ in range(2)] == [True, False]
        await room.leave()

    asyncio.run(scene())


def test_lost_answer_closes_places_as_their_requests_leave() -> None:
    async def scene() -> None:
        room = Room(places=4, most_held=0)
        room.admission.answered("a")
        room.admission.answered("b")
        assert [await room.enter(may_wait=False) for _ in range(4)] == [True] * 4
        await room.admission.lost()
        # An instance that answers meanwhile keeps one of the four open.
        room.admission.answered("c")
        await room.leave()
        assert [await room.enter(may_wait=False) for _ in range(4)] == [True] * 3 + [False]
        await room.leave()

    asyncio.run(scene())


def test_slow_bodies_take_no_place(front: Front) -> None:
    slow = [socket.create_connection(("127.0.0.1", front.port), timeout=10) for _ in range(4)]
    for connection in slow:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    assert requests.get(front.url, timeout=10).status_code == 200
    for connection in slow:
        connection.close()


@pytest.mark.parametrize(("bound", "status"), [({"BODY_SECONDS": 0.1}, 408), ({"LARGEST_BODY_BYTES": 3}, 413)])
def test_body_beyond_its_bounds_is_refused(
    front: Front, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, bound: dict[str, float], status: int
) -> None:
    for name, value in bound.items():
        monkeypatch.setattr(forward, name, value)
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        assert f"HTTP/1.1 {status} ".encode() in connection.recv(65536)
    assert upstream.requests == []


def test_forwarded_address_is_the_callers_own_whatever_it_sends(front: Front, upstream: Upstream) -> None:
    caller = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
    caller.putrequest("GET", "/")
    for name in ("X-Forwarded-For", "x-forwarded-for"):
        caller.putheader(name, "203.0.113.9, 198.51.100.7")
    caller.endheaders()
    assert caller.getresponse().status == 200
    caller.close()
    (asked,) = upstream.requests
    assert [value for name, value in asked.headers if name.lower() == "x-forwarded-for"] == ["127.0.0.1"]


def test_the_proxys_port_is_reserved_at_once_and_freed_by_stop() -> None:
    made = Front()
    with pytest.raises(ports.PortTaken):
        ports.bound(made.port)
    made.start()
    made.stop()
    ports.bound(made.port).close()
