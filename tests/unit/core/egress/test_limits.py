"""A call ends at its deadline and keeps no more than its limit, against any server."""

import socket
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import trustme

from chalicelib.core import egress
from chalicelib.core.runtime import deadline
from tests.support.hostile_servers import OK, Behaviour, Peer, Serve, answer, lasting, post, send_bytes


def dripping(start: bytes) -> Behaviour:
    """Send *start*, then single bytes until the client hangs up."""

    def drip(connection: socket.socket, request: bytes) -> None:
        connection.sendall(start)
        pause = threading.Event()
        while not pause.wait(0.02):
            connection.sendall(b"x")

    return drip


def silent(connection: socket.socket, request: bytes) -> None:
    """Send nothing until the client hangs up."""
    connection.recv(1)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_dripping_headers_are_cut_at_the_deadline(
    start: bytes, scheme: str, serve: Serve, loopback: Callable[..., None]
) -> None:
    loopback(TOTAL_TIMEOUT_MS="400")
    with serve(dripping(start)) as peer, lasting(0.4), pytest.raises(egress.TimedOut):
        post(f"{scheme}://127.0.0.1:{peer.port}/")


@pytest.mark.parametrize("framing", [b"Content-Length: 100000\r\n", b"", b"Transfer-Encoding: chunked\r\n"])
def test_dripping_body_is_cut_and_its_answer_kept(
    framing: bytes, scheme: str, serve: Serve, loopback: Callable[..., None]
) -> None:
    loopback(TOTAL_TIMEOUT_MS="400")
    chunk = b"ffff\r\n" if b"chunked" in framing else b""
    with serve(dripping(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + chunk)) as peer, lasting(0.4):
        reply = post(f"{scheme}://127.0.0.1:{peer.port}/")
    assert (reply.status, reply.complete) == (200, False)
    assert set(reply.body) == {ord("x")}


def test_silent_server_times_out_before_the_deadline(scheme: str, serve: Serve, loopback: Callable[..., None]) -> None:
    loopback(READ_TIMEOUT_MS="300")
    with serve(silent) as peer, lasting(0.3), pytest.raises(egress.TimedOut):
        post(f"{scheme}://127.0.0.1:{peer.port}/")


def test_server_that_does_not_read_times_out(scheme: str, serve: Serve, loopback: Callable[..., None]) -> None:
    loopback(TOTAL_TIMEOUT_MS="300")

    def stall(connection: socket.socket, request: bytes) -> None:
        threading.Event().wait(1)

    with serve(stall, reads=False) as peer, lasting(0.3), pytest.raises(egress.TimedOut):
        post(f"{scheme}://127.0.0.1:{peer.port}/", b"x" * 50_000_000)


def test_slowly_reading_server_times_out_at_the_deadline(
    scheme: str, serve: Serve, loopback: Callable[..., None]
) -> None:
    loopback(TOTAL_TIMEOUT_MS="400")

    def sip(connection: socket.socket, request: bytes) -> None:
        while connection.recv(65_536):
            threading.Event().wait(0.02)

    with serve(sip, reads=False) as peer, lasting(0.4), pytest.raises(egress.TimedOut):
        post(f"{scheme}://127.0.0.1:{peer.port}/", b"x" * 50_000_000)


def test_missing_tls_handshake_times_out(authority: trustme.CA, loopback: Callable[..., None]) -> None:
    loopback(CONNECT_TIMEOUT_MS="300")
    with Peer(silent) as peer, lasting(0.3), pytest.raises(egress.TimedOut):
        post(f"https://127.0.0.1:{peer.port}/")


def test_interim_answers_without_end_are_cut_at_the_deadline(loopback: Callable[..., None]) -> None:
    loopback(TOTAL_TIMEOUT_MS="400")

    def interim(connection: socket.socket, request: bytes) -> None:
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    with Peer(interim) as peer, lasting(0.4), pytest.raises(egress.TimedOut):
        post(f"http://127.0.0.1:{peer.port}/")


def test_a_call_ends_before_its_function_does(loopback: None) -> None:
    remaining = SimpleNamespace(get_remaining_time_in_millis=lambda: 900)
    with Peer(dripping(b"")) as peer, deadline.bind(remaining), lasting(0.4), pytest.raises(egress.TimedOut):
        post(f"http://127.0.0.1:{peer.port}/")


def test_a_function_with_no_time_left_sends_nothing(loopback: None) -> None:
    remaining = SimpleNamespace(get_remaining_time_in_millis=lambda: 400)
    with Peer(OK) as peer, deadline.bind(remaining), pytest.raises(egress.TimedOut):
        post(f"http://127.0.0.1:{peer.port}/")
    assert peer.connections == 0


@pytest.mark.parametrize("framing", [b"Content-Length: 100000000\r\n", b"", b"Transfer-Encoding: chunked\r\n"])
def test_a_huge_body_is_bounded(framing: bytes, scheme: str, serve: Serve, loopback: Callable[..., None]) -> None:
    loopback(MAX_RESPONSE_BYTES="1000")
    sent = 0

    def flood(connection: socket.socket, request: bytes) -> None:
        nonlocal sent
        connection.sendall(
            b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + (b"5f5e100\r\n" if b"chunked" in framing else b"")
        )
        while sent < 100_000_000:
            connection.sendall(b"x" * 10_000)
            sent += 10_000

    with serve(flood) as peer:
        reply = post(f"{scheme}://127.0.0.1:{peer.port}/")
    assert (reply.body, reply.complete) == (b"x" * 1000, False)
    assert sent < 20_000_000, "we left when we had enough"


@pytest.mark.parametrize(("size", "complete"), [(0, True), (999, True), (1000, True), (1001, False)])
def test_body_up_to_the_limit_is_complete(size: int, complete: bool, loopback: Callable[..., None]) -> None:
    loopback(MAX_RESPONSE_BYTES="1000")
    with Peer(answer("HTTP/1.1 200 OK", b"x" * size)) as peer:
        reply = post(f"http://127.0.0.1:{peer.port}/")
    assert (reply.body, reply.complete) == (b"x" * min(size, 1000), complete)


def test_truncated_body_is_marked_incomplete(loopback: None) -> None:
    with Peer(send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")) as peer:
        reply = post(f"http://127.0.0.1:{peer.port}/")
    assert (reply.body, reply.complete) == (b"abc", False)
