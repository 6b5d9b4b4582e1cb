"""A call sends its request once and unchanged, and returns the answer."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.core import egress
from chalicelib.core.errors import Invalid
from tests.support.hostile_servers import OK, Peer, Resolver, Serve, answer, post, send_bytes


def test_request_arrives_unchanged(loopback: None) -> None:
    with Peer(answer("HTTP/1.1 202 Accepted\nRetry-After: 7\nContent-Type: text/plain\nX-Other: x", b"got it")) as peer:
        url = f"http://HOOK.test.:{peer.port}/a/../b;c?d=%20&e[]=f"
        reply = post(url, b'{"a":1}', resolve=Resolver({"hook.test": [["127.0.0.1"]]}), **{"Webhook-Id": "msg_1"})
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "POST /a/../b;c?d=%20&e[]=f HTTP/1.1"
    assert sorted(lines) == sorted(
        [
            f"Host: hook.test:{peer.port}",
            "Connection: close",
            "Accept-Encoding: identity",
            "User-Agent: Holdfast",
            "Content-Type: application/json",
            "Webhook-Id: msg_1",
            "Content-Length: 7",
        ]
    )
    assert body == b'{"a":1}'
    assert (reply.status, reply.body, reply.complete) == (202, b"got it", True)
    assert reply.headers == {"Retry-After": "7", "Content-Type": "text/plain"}
    assert 0 <= reply.duration_ms < 10_000


def test_the_next_address_is_tried_only_where_connecting_failed(loopback: None) -> None:
    names = Resolver({"hook.test": [["127.0.0.3", "127.0.0.2", "127.0.0.1"]]})
    with Peer(answer("HTTP/1.1 500 Oh"), host="127.0.0.2") as second, Peer(OK, port=second.port) as third:
        reply = post(f"http://hook.test:{second.port}/", resolve=names)
    assert (reply.status, second.connections, third.connections) == (500, 1, 0)


def test_server_that_hangs_up_is_not_called_twice(loopback: None) -> None:
    names = Resolver({"hook.test": [["127.0.0.2", "127.0.0.1"]]})
    with (
        Peer(send_bytes(b""), host="127.0.0.2") as first,
        Peer(OK, port=first.port) as second,
        pytest.raises(egress.Unreachable),
    ):
        post(f"http://hook.test:{first.port}/", resolve=names)
    assert (first.connections, second.connections) == (1, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["http://169.254.169.254/latest/meta-data/", "/elsewhere", "//127.0.0.1:{port}/"])
def test_a_redirect_is_an_answer_and_is_not_followed(status: int, location: str, loopback: None) -> None:
    with Peer(OK) as target:
        redirect = answer(f"HTTP/1.1 {status} Moved\nLocation: {location.format(port=target.port)}")
        with Peer(redirect) as peer:
            reply = post(f"http://127.0.0.1:{peer.port}/")
    assert reply.status == status
    assert (peer.connections, target.connections) == (1, 0)


def test_no_proxy_is_used(loopback: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer(OK) as proxy, Peer(OK) as peer:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        post(f"http://127.0.0.1:{peer.port}/")
    assert (peer.connections, proxy.connections) == (1, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "1\r\nX-Injected: 1"),
        ("X-A", "1\nX-Injected: 1"),
        ("X-A", "1\r\n folded"),
        ("X-A", "1\x00"),
        ("X-A", " 1"),
        ("X-A", "\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("X-A: 1\r\nX-Injected", "1"),
        ("X A", "1"),
        ("", "1"),
        (":authority", "1"),
        ("X-\ud800", "1"),
        ("Host", "127.0.0.1"),
        ("host", "127.0.0.1"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive"),
        ("Expect", "100-continue"),
    ],
)
def test_header_that_would_alter_the_request_is_refused(name: str, value: str, loopback: None) -> None:
    with Peer(OK) as peer, pytest.raises(egress.HeaderRefused) as error:
        egress.post(f"http://127.0.0.1:{peer.port}/", b"{}", {name: value})
    assert isinstance(error.value, Invalid)
    assert peer.connections == 0


INTERIM = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n"
)


def test_interim_answers_are_skipped(scheme: str, serve: Serve, loopback: None) -> None:
    final = b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n"
    with serve(send_bytes(INTERIM + final)) as peer:
        reply = post(f"{scheme}://127.0.0.1:{peer.port}/")
    assert (reply.status, reply.headers, reply.body, reply.complete) == (503, {}, b"yes", True)


def test_interim_answers_without_a_final_answer_are_a_failure(scheme: str, serve: Serve, loopback: None) -> None:
    with serve(send_bytes(INTERIM)) as peer, pytest.raises(egress.Unreachable) as error:
        post(f"{scheme}://127.0.0.1:{peer.port}/")
    assert error.value.failure == "reset"


def test_compressed_body_is_not_decompressed(loopback: None) -> None:
    with Peer(answer("HTTP/1.1 200 OK\nContent-Encoding: gzip", b"\x1f\x8b not opened")) as peer:
        assert post(f"http://127.0.0.1:{peer.port}/").body == b"\x1f\x8b not opened"


def test_long_response_header_is_truncated(loopback: None) -> None:
    with Peer(answer(f"HTTP/1.1 200 OK\nContent-Type: {'x' * 5000}")) as peer:
        assert post(f"http://127.0.0.1:{peer.port}/").headers == {"Content-Type": "x" * 256}


def test_a_port_where_nobody_listens_is_unreachable(loopback: None) -> None:
    with Peer(OK) as peer:
        port = peer.port
    with pytest.raises(egress.Unreachable) as error:
        post(f"http://127.0.0.1:{port}/")
    assert "127.0.0.1" not in str(error.value)


said = st.binary() | st.builds(
    bytes.__add__,
    st.sampled_from(
        [
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: ",
            b"HTTP/1.1 ",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
            b"HTTP/1.1 103 Early\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nRetry-After: ",
        ]
    ),
    st.binary(),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said)
def test_any_bytes_of_a_server_make_an_answer_or_an_egress_error(loopback: None, words: bytes) -> None:
    with Peer(send_bytes(words)) as peer:
        try:
            reply = post(f"http://127.0.0.1:{peer.port}/")
        except (egress.Unreachable, egress.TimedOut):
            return
    assert 100 <= reply.status <= 999
