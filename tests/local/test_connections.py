"""Connections of the proxy: slow heads, too many connections, malformed requests, encoded bodies, and the log."""

import gzip
import json
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from infra.local.proxy import connections
from infra.local.proxy.server import Front
from tests.support.upstream import Upstream
from tests.support.waiting import eventually

HOST = b"Host: x\r\nConnection: close\r\n"
TOKEN = "hfs_live-token"


@pytest.fixture
def front(upstream: Upstream) -> Iterator[Front]:
    made = Front(admitted=2, queue_seconds=2)
    made.point(upstream.url, [])
    made.start()
    yield made
    made.stop()


def connect(front: Front) -> socket.socket:
    return socket.create_connection(("127.0.0.1", front.port), timeout=10)


def whole(connection: socket.socket) -> bytes:
    """Return everything that comes until the proxy closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def send(front: Front, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer to *request*."""
    with connect(front) as connection:
        connection.sendall(request)
        return parts(whole(connection))


def parts(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    pairs = (field.partition(": ") for field in fields)
    return int(line.split()[1]), {name.lower(): value for name, _, value in pairs}, body


def assert_problem(answer: tuple[int, dict[str, str], bytes], status: int) -> None:
    found, headers, body = answer
    assert (found, headers["content-type"].partition(";")[0]) == (status, "application/problem+json")
    document = json.loads(body)
    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-expose-headers"] == "Retry-After"
    assert (set(document), document["status"]) == ({"type", "code", "title", "status", "detail", "requestId"}, status)


# Heads and connections.


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHo"])
def test_head_that_does_not_come_in_time_is_408(front: Front, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with connect(front) as connection:
        connection.sendall(sent)
        assert_problem(parts(whole(connection)), 408)


def test_second_head_that_stops_halfway_is_408(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with connect(front) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).endswith(b"{}")
        connection.sendall(b"GET / HT")
        assert_problem(parts(whole(connection)), 408)


def test_answer_that_takes_longer_than_a_head_is_whole(
    front: Front, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    usual = upstream.answer

    def slow(asked: object) -> object:
        time.sleep(0.3)
        return usual(asked)  # type: ignore[arg-type]

    upstream.answer = slow  # type: ignore[assignment]
    assert requests.get(front.url, timeout=10).status_code == 200


def test_idle_connections_give_way_to_new_ones(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PEER_CONNECTIONS", 3)
    with ExitStack() as opened:
        silent = [opened.enter_context(connect(front)) for _ in range(3)]
        assert requests.get(front.url, timeout=10).status_code == 200
        # The connection that was silent for the longest time was closed, and no other.
        assert silent[0].recv(1) == b""
        silent[2].sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert whole(silent[2]).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("bound", ["PEER_CONNECTIONS", "ALL_CONNECTIONS"])
def test_connection_above_the_bound_is_503_while_all_are_in_use(
    front: Front, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(connections, bound, 2)
    busy = [connect(front) for _ in range(2)]
    for connection in busy:
        connection.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
    with connect(front) as refused:
        answer = parts(whole(refused))
    assert_problem(answer, 503)
    assert answer[1]["retry-after"] == "1"
    for connection in busy:
        connection.sendall(b"body")
        assert whole(connection).startswith(b"HTTP/1.1 200 ")
        connection.close()
    assert requests.get(front.url, timeout=10).status_code == 200


# Requests that no gateway takes.


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET http://other.example/health HTTP/1.1", 400),
        ("OPTIONS * HTTP/1.1", 400),
        ("CONNECT example.org:443 HTTP/1.1", 405),
        ("CONNECT /health HTTP/1.1", 405),
        ("GET health HTTP/1.1", 400),
        ("get /health HTTP/1.1", 400),
        ("GET /a b HTTP/1.1", 400),
        ("hello", 400),
        (f"GET /{'x' * 66_000} HTTP/1.1", 414),
    ],
)
def test_odd_request_line_is_a_problem_and_not_forwarded(
    front: Front, upstream: Upstream, line: str, status: int
) -> None:
    answer = send(front, line.encode() + b"\r\n" + HOST + b"\r\n")
    assert_problem(answer, status)
    assert ("allow" in answer[1]) == (status == 405)
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("Bad Header : 1", 400),
        ("No colon", 400),
        ("X: a\x01b", 400),
        ("Host: another", 400),
        ("Content-Length: three", 400),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: gzip", 400),
        (f"X: {'x' * 66_000}", 431),
    ],
)
def test_malformed_head_is_a_problem_and_its_token_is_not_logged(
    front: Front, upstream: Upstream, caplog: pytest.LogCaptureFixture, fields: str, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    head = f"POST / HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n{fields}\r\n"
    answer = send(front, head.encode() + HOST + b"\r\n")
    assert_problem(answer, status)
    assert TOKEN not in caplog.text + answer[2].decode()
    assert upstream.requests == []


def test_malformed_token_is_not_logged(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert_problem(
        send(front, f"GET / HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\x01\r\n".encode() + HOST + b"\r\n"), 400
    )
    assert TOKEN not in caplog.text


def test_fault_of_the_proxy_is_logged_without_its_text(
    front: Front, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(request: object) -> None:
        raise RuntimeError(f"cannot read {TOKEN}")

    monkeypatch.setattr("infra.local.proxy.server.refused", broken)
    assert_problem(send(front, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"), 500)
    assert "RuntimeError" in caplog.text
    assert "in broken" in caplog.text
    assert TOKEN not in caplog.text


def test_chunk_without_a_size_is_400(front: Front, upstream: Upstream) -> None:
    with connect(front) as connection:
        head = b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head)
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"zz\r\nabc")
        assert_problem(parts(whole(connection)), 400)
    assert upstream.requests == []


# Encoded bodies.


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, GZIP", "made-up"])
def test_encoded_body_is_415_and_not_unpacked(front: Front, upstream: Upstream, encoding: str) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    answer = requests.post(front.url, data=bomb, headers={"Content-Encoding": encoding}, timeout=10)
    assert_problem((answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content), 415)
    assert upstream.requests == []


def test_body_with_the_identity_encoding_is_forwarded(front: Front, upstream: Upstream) -> None:
    assert requests.post(front.url, data=b"{}", headers={"Content-Encoding": "identity"}, timeout=10).status_code == 200
    eventually(lambda: [asked.body for asked in upstream.requests] == [b"{}"])
