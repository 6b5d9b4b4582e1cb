"""A call without an answer names its failure by a stable word, and its duration."""

import errno
import socket
import struct
from collections.abc import Callable
from http.client import HTTPException

import pytest
import trustme

from chalicelib.core import egress
from chalicelib.core.egress.sockets import translate_error
from tests.support.hostile_servers import OK, Behaviour, Peer, Resolver, Serve, answer, post, send_bytes, tls_context


def failure(url: str, **more: object) -> tuple[str, egress.EgressError]:
    """Call *url* and return the word of the failure, and the error."""
    with pytest.raises(egress.EgressError) as error:
        post(url, **more)  # type: ignore[arg-type]
    return error.value.failure, error.value


def reset(connection: socket.socket, request: bytes) -> None:
    """Drop the connection with a reset (RST) in place of an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silent(connection: socket.socket, request: bytes) -> None:
    """Send nothing until the client hangs up."""
    connection.recv(1)


@pytest.mark.parametrize(
    ("behaviour", "word"),
    [
        (send_bytes(b""), "reset"),
        (send_bytes(b"SSH-2.0-OpenSSH_9.2\r\n"), "protocol"),
        (send_bytes(b"HTTP/1.1 two hundred\r\n\r\n"), "protocol"),
        (answer("HTTP/1.1 200 OK\n" + "\n".join(f"X-{number}: x" for number in range(10_000))), "protocol"),
        (answer(f"HTTP/1.1 200 OK\nX-Long: {'x' * 100_000}"), "protocol"),
    ],
)
def test_failed_answer_has_a_stable_word(
    behaviour: Behaviour, word: str, scheme: str, serve: Serve, loopback: None
) -> None:
    with serve(behaviour) as peer:
        assert failure(f"{scheme}://127.0.0.1:{peer.port}/")[0] == word


def test_reset_connection_is_a_reset(loopback: None) -> None:
    with Peer(reset) as peer:
        assert failure(f"http://127.0.0.1:{peer.port}/")[0] == "reset"


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX-Cut: a\r\n"])
def test_answer_cut_off_in_its_head_is_a_reset(
    head: bytes, scheme: str, serve: Serve, loopback: Callable[..., None]
) -> None:
    with serve(send_bytes(head)) as peer:
        assert failure(f"{scheme}://127.0.0.1:{peer.port}/")[0] == "reset"


def test_answer_with_a_whole_head_and_no_body_is_complete(scheme: str, serve: Serve, loopback: None) -> None:
    with serve(send_bytes(b"HTTP/1.1 200 OK\r\n\r\n")) as peer:
        reply = post(f"{scheme}://127.0.0.1:{peer.port}/")
    assert (reply.status, reply.body, reply.complete) == (200, b"", True)


def test_port_where_nobody_listens_is_refused(loopback: None) -> None:
    with Peer(OK) as peer:
        port = peer.port
    assert failure(f"http://127.0.0.1:{port}/")[0] == "refused"


def test_network_without_a_route_is_unreachable() -> None:
    assert translate_error(OSError(errno.ENETUNREACH, "no route")).failure == "unreachable"
    assert translate_error(OSError(errno.EHOSTUNREACH, "no route")).failure == "unreachable"
    assert translate_error(None).failure == "unreachable"
    assert translate_error(HTTPException()).failure == "protocol"


def test_invalid_certificate_and_missing_tls_are_tls(authority: trustme.CA, loopback: None) -> None:
    with Peer(OK, tls=tls_context(authority, "other.test")) as peer:
        assert failure(f"https://127.0.0.1:{peer.port}/")[0] == "tls"
    with Peer(send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"), reads=False) as peer:
        assert failure(f"https://127.0.0.1:{peer.port}/")[0] == "tls"


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_failed_lookup_is_name(code: int) -> None:
    def fails(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "no")

    assert failure("http://hook.test/", resolve=fails)[0] == "name"


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://metadata.test/", "ftp://hook.test/"])
def test_refused_address_is_address_refused(url: str) -> None:
    names = Resolver({"metadata.test": [["169.254.169.254"]]})
    assert failure(url, resolve=names)[0] == "address-refused"


def test_refused_header_is_header_refused() -> None:
    with pytest.raises(egress.EgressError) as error:
        egress.post("http://hook.test/", b"{}", {"Host": "other.test"})
    assert error.value.failure == "header-refused"


def test_silence_is_a_timeout_with_its_duration(loopback: Callable[..., None]) -> None:
    loopback(READ_TIMEOUT_MS="300")
    with Peer(silent) as peer:
        word, error = failure(f"http://127.0.0.1:{peer.port}/")
    assert word == "timeout"
    assert error.duration_ms is not None
    assert 300 <= error.duration_ms < 5_000
    assert failure("http://10.0.0.1/")[1].duration_ms is not None


@pytest.mark.parametrize(("size", "complete"), [(0, True), (1_024, True), (1_025, False), (60_000, False)])
def test_first_1024_bytes_of_a_body_are_kept(size: int, complete: bool, loopback: None) -> None:
    with Peer(answer("HTTP/1.1 500 Oh", b"x" * size)) as peer:
        reply = post(f"http://127.0.0.1:{peer.port}/")
    assert (reply.status, reply.body, reply.complete) == (500, b"x" * min(size, 1_024), complete)


def test_body_beyond_the_kept_part_is_read_to_a_clean_end(loopback: None) -> None:
    ends: list[bytes] = []

    def attend(connection: socket.socket, request: bytes) -> None:
        answer("HTTP/1.1 200 OK", b"x" * 60_000)(connection, request)
        ends.append(connection.recv(1))

    with Peer(attend) as peer:
        assert post(f"http://127.0.0.1:{peer.port}/").status == 200
    assert ends == [b""], "a client that leaves bytes unread resets the connection"
