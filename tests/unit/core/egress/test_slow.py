"""A slow or flooding receiver is left at the deadline of a second, with the stable word, and 1,024 bytes are kept."""

import socket
import threading
from collections.abc import Callable, Iterable

import pytest

from chalicelib.core import egress
from tests.support.hostile_servers import Behaviour, Peer, lasting, post

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MEGABYTES_100 = 100_000_000
#: More than the buffers of both ends hold.
_LEFT_BYTES = 20_000_000


@pytest.fixture(autouse=True)
def _deadline(loopback: Callable[..., None]) -> None:
    loopback(TOTAL_TIMEOUT_MS="1000")


class Sends:
    """A behaviour that sends *parts* in turn, each after *pause_seconds*, and keeps the connection open at the end."""

    def __init__(self, parts: Iterable[bytes], pause_seconds: float = 0) -> None:
        self._parts, self._pause_seconds = parts, pause_seconds
        self.sent = 0

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        pause = threading.Event()
        for part in self._parts:
            pause.wait(self._pause_seconds)
            connection.sendall(part)
            self.sent += len(part)
        connection.recv(1)


def forever(part: bytes, *before: bytes) -> Iterable[bytes]:
    yield from before
    while True:
        yield part


def drip(text: bytes, *before: bytes) -> Behaviour:
    """Send *before*, then *text* byte by byte, so slowly that the deadline comes first."""
    return Sends([*before, *(bytes([byte]) for byte in text)], 0.2)


def called(behaviour: Behaviour) -> egress.Reply:
    with Peer(behaviour) as peer:
        return post(f"http://127.0.0.1:{peer.port}/")


@pytest.mark.parametrize(
    "behaviour",
    [
        Sends([]),
        Sends([b"HTTP/1.1 200"]),
        drip(HEAD),
        drip(b"X-Slow: and slower\r\n\r\n", HEAD),
        Sends(forever(b"HTTP/1.1 100 Continue\r\n\r\n"), 0.05),
        Sends(forever(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), 0.05),
    ],
    ids=["silent", "half a line", "dripping status line", "dripping header", "answers 100", "answers 103"],
)
def test_answer_without_a_head_times_out_at_the_deadline(behaviour: Behaviour) -> None:
    with lasting(1), pytest.raises(egress.TimedOut) as error:
        called(behaviour)
    assert error.value.failure == "timeout"
    assert error.value.duration_ms is not None
    assert 950 <= error.value.duration_ms < 3_500


@pytest.mark.parametrize(
    "behaviour",
    [
        drip(b"x" * 100, HEAD + b"Content-Length: 100\r\n\r\n"),
        drip(b"x" * 100, HEAD + b"\r\n"),
        drip(b"1\r\nx\r\n" * 100, CHUNKED + b"1\r\nx\r\n"),
        Sends(forever(b"1\r\nx\r\n", CHUNKED), 0.1),
        Sends([CHUNKED, b"5\r\nxx"]),
        Sends(forever(b"X-Trailer: x\r\n", CHUNKED, b"1\r\nx\r\n0\r\n"), 0.05),
    ],
    ids=["length", "no length", "chunk sizes", "chunks", "half a chunk", "trailers"],
)
def test_body_without_an_end_is_cut_at_the_deadline(behaviour: Behaviour) -> None:
    with lasting(1):
        reply = called(behaviour)
    assert (reply.status, reply.complete) == (200, False)
    assert 0 < len(reply.body) <= 100
    assert 950 <= reply.duration_ms < 3_500


@pytest.mark.parametrize(
    "framing",
    [
        HEAD + b"Content-Length: %d\r\n\r\n" % MEGABYTES_100,
        HEAD + b"\r\n",
        CHUNKED + b"%x\r\n" % MEGABYTES_100,
    ],
    ids=["length", "no length", "one chunk"],
)
def test_1024_bytes_of_a_body_of_100_mb_are_kept(framing: bytes) -> None:
    flood = Sends([framing, *([b"x" * 100_000] * (MEGABYTES_100 // 100_000))])
    reply = called(flood)
    assert (reply.status, reply.body, reply.complete) == (200, b"x" * 1_024, False)
    assert reply.duration_ms < 3_500
    assert flood.sent < _LEFT_BYTES


def test_1024_bytes_of_endless_chunks_are_kept() -> None:
    flood = Sends(forever(b"3e8\r\n" + b"x" * 1_000 + b"\r\n", CHUNKED))
    reply = called(flood)
    assert (reply.status, reply.body, reply.complete) == (200, b"x" * 1_024, False)
    assert flood.sent < _LEFT_BYTES


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD, *(b"X-%d: x\r\n" % number for number in range(10_000)), b"\r\n"],
        forever(b"X-Flood: x\r\n", HEAD),
        forever(b"x" * 10_000, HEAD, b"X-Long: "),
        forever(b"x" * 10_000, b"HTTP/1.1 200 "),
    ],
    ids=["10,000 headers", "endless headers", "endless header", "endless status line"],
)
def test_flood_of_headers_is_a_protocol_failure(parts: Iterable[bytes]) -> None:
    flood = Sends(parts)
    with pytest.raises(egress.Unreachable) as error:
        called(flood)
    assert error.value.failure == "protocol"
    assert flood.sent < _LEFT_BYTES


@pytest.mark.parametrize("chunk", [b"5;" + b"x" * 100_000, b"zz\r\n", b"-5\r\n", b"f" * 100_000])
def test_malformed_chunk_makes_the_answer_incomplete(chunk: bytes) -> None:
    reply = called(Sends([CHUNKED + b"1\r\nx\r\n" + chunk]))
    assert (reply.status, reply.body, reply.complete) == (200, b"x", False)
