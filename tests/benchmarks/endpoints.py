"""Receivers of webhooks for measurements: healthy ones, one that hangs and one that fails; and a bare client."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPConnection
from typing import NamedTuple

from tests.support.receiver import Received, Receiver, receiving

HANGING, FAILING, BARE = "/hanging", "/failing", "/bare"
#: How long the hanging endpoint keeps a call waiting.
_HANGS_SECONDS = 15
#: Connections of the bare client at once: as many as a webhook has workers.
_AT_ONCE = 5


class Receipt(NamedTuple):
    """A body that a healthy endpoint received, and the milliseconds since the commit of its change."""

    path: str
    id: str
    at: float
    ms: float
    body: bytes


class Endpoints:
    """The endpoints of a run, in one server of threads. `receipts` holds the first receipt of each delivery."""

    def __init__(self, receiver: Receiver) -> None:
        self.url = receiver.url
        self.receipts: dict[tuple[str, str], Receipt] = {}
        self._stop = threading.Event()
        receiver.answer = self._answer

    def stop(self) -> None:
        """End the calls that hang."""
        self._stop.set()

    def _answer(self, call: Received) -> tuple[int, dict[str, str]]:
        at = time.time()
        if call.path == FAILING:
            return 500, {}
        if call.path == HANGING:
            self._stop.wait(_HANGS_SECONDS)
            return 204, {}
        if call.path != BARE:
            event = json.loads(call.body)
            ms = (at - datetime.fromisoformat(event["timestamp"]).timestamp()) * 1000
            self.receipts.setdefault((call.path, event["id"]), Receipt(call.path, event["id"], at, ms, call.body))
        return 204, {}


@contextmanager
def serving() -> Iterator[Endpoints]:
    """Serve endpoints during the block."""
    with receiving() as receiver:
        endpoints = Endpoints(receiver)
        try:
            yield endpoints
        finally:
            endpoints.stop()


class Bare(NamedTuple):
    """The figures of the bare client."""

    per_second: float
    ms: list[float]


def bare(endpoints: Endpoints, bodies: Sequence[bytes]) -> Bare:
    """Post *bodies* to the same server, a connection for each as egress has, and return rate and times."""
    host = endpoints.url.removeprefix("http://")

    def post(body: bytes) -> float:
        began, connection = time.monotonic(), HTTPConnection(host, timeout=30)
        try:
            connection.request("POST", BARE, body, {"Connection": "close"})
            connection.getresponse().read()
        finally:
            connection.close()
        return (time.monotonic() - began) * 1000

    began = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        times = list(pool.map(post, bodies))
    return Bare(len(bodies) / (time.monotonic() - began), times)
