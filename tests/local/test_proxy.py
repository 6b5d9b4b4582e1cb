"""The proxy of the short, stable URL: forwarded requests, admission, and its own problems."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import requests

from infra.host import ports
from infra.local.proxy import forward
from infra.local.proxy.server import Front
from tests.support.upstream import Answer, ReceivedRequest, Upstream
from tests.support.waiting import eventually

WAITING = [("GET", "/things/{id}"), ("POST", "/wait")]
THROTTLED = {
    "__type": "TooManyRequestsException",
    "message": "Rate exceeded",
    "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
    "retryAfterSeconds": "1",
}


@pytest.fixture
def front(upstream: Upstream) -> Iterator[Front]:
    """A proxy that admits two requests at once and queues others for 30 s."""
    yield from running(upstream, queue_seconds=30)


@pytest.fixture
def strict(upstream: Upstream) -> Iterator[Front]:
    """A proxy that admits two requests at once and queues others for half a second."""
    yield from running(upstream, queue_seconds=0.5)


def running(upstream: Upstream, queue_seconds: float) -> Iterator[Front]:
    made = Front(admitted=2, queue_seconds=queue_seconds)
    made.point(upstream.url, WAITING)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def release(upstream: Upstream) -> Iterator[threading.Event]:
    """The API answers once this event is set."""
    opened = threading.Event()

    def answer(_: ReceivedRequest) -> Answer:
        opened.wait(10)
        return Answer()

    upstream.answer = answer
    yield opened
    opened.set()


def send_raw(front: Front, request: bytes) -> bytes:
    """Return the whole response to *request*."""
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def arrived(upstream: Upstream, number: int) -> bool:
    return len(upstream.requests) == number


def problem(response: requests.Response) -> dict[str, object]:
    """Return the body, asserting that it is a problem document."""
    assert response.headers["Content-Type"].startswith("application/problem+json")
    document: dict[str, object] = response.json()
    assert set(document) == {"type", "code", "title", "status", "detail", "requestId"}
    assert document["status"] == response.status_code
    return document


# Forwarding.


def test_a_request_is_forwarded_unchanged(front: Front, upstream: Upstream) -> None:
    send_raw(
        front,
        b"PATCH /a%2Fb/../c;x=1?q=%20+&q=2&empty= HTTP/1.1\r\nHost: localhost:8000\r\n"
        b"X-Twice: 1\r\nx-twice: 2\r\nConnection: close, X-Dropped\r\nX-Dropped: 1\r\n"
        b"Content-Length: 4\r\nContent-Type: text/odd\r\n\r\n\xff\x00\r\n",
    )

    (asked,) = upstream.requests
    assert (asked.method, asked.path) == ("PATCH", "/base/a%2Fb/../c;x=1?q=%20+&q=2&empty=")
    assert asked.body == b"\xff\x00\r\n"
    assert [value for name, value in asked.headers if name.lower() == "x-twice"] == ["1", "2"]
    # Exactly the headers sent, save those of the connection, and the caller's address.
    sent = {"host", "x-twice", "content-length", "content-type"}
    assert {name.lower() for name, _ in asked.headers} == sent | {"x-forwarded-for"}
    assert ("host", "localhost:8000") in [(name.lower(), value) for name, value in asked.headers]


def test_an_answer_is_returned_unchanged(front: Front, upstream: Upstream) -> None:
    headers = (
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Content-Type", "image/png"),
        ("Content-Encoding", "gzip"),
    )
    upstream.answer = lambda _: Answer(418, b"\x89PNG\x00\xff", headers)

    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
    connection.request("GET", "/")
    response = connection.getresponse()
    body = response.read()
    connection.close()

    assert (response.status, body) == (418, b"\x89PNG\x00\xff")
    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["Content-Encoding"] == "gzip"


def test_the_answer_to_a_head_request_keeps_its_length(front: Front, upstream: Upstream) -> None:
    upstream.answer = lambda _: Answer(200, b"x" * 1234)
    assert requests.head(front.url, timeout=10).headers["Content-Length"] == "1234"


def test_a_redirection_is_returned_and_not_followed(front: Front, upstream: Upstream) -> None:
    upstream.answer = lambda _: Answer(302, b"", (("Location", "/elsewhere"),))
    assert requests.get(front.url, timeout=10, allow_redirects=False).headers["Location"] == "/elsewhere"
    assert len(upstream.requests) == 1


def test_eleven_megabytes_pass_after_expect_100_continue(front: Front, upstream: Upstream) -> None:
    body = bytes(range(256)) * 43_000
    response = requests.put(front.url, data=body, headers={"Expect": "100-continue"}, timeout=30)
    assert response.status_code == 200
    assert upstream.requests[0].body == body


def test_a_long_request_line_is_forwarded(front: Front, upstream: Upstream) -> None:
    requests.get(front.url, params={"q": "x" * 20_000}, timeout=10)
    assert len(upstream.requests[0].path) > 20_000


def test_the_upstream_may_change_while_the_proxy_runs(front: Front, upstream: Upstream) -> None:
    requests.get(f"{front.url}/before", timeout=10)
    front.point(upstream.url + "/new/", [])
    requests.get(f"{front.url}/after", timeout=10)
    assert [asked.path for asked in upstream.requests] == ["/base/before", "/base/new/after"]


# Admission.


def test_no_more_than_the_admitted_number_reach_the_api_at_once(front: Front, upstream: Upstream) -> None:
    def answer(_: ReceivedRequest) -> Answer:
        time.sleep(0.02)
        return Answer()

    upstream.answer = answer
    with ThreadPoolExecutor(20) as callers:
        found = list(callers.map(lambda _: requests.get(front.url, timeout=10).status_code, range(20)))

    assert found == [200] * 20
    assert upstream.most_at_once == 2


def test_a_request_that_queues_too_long_is_503_with_retry_after(
    strict: Front, upstream: Upstream, release: threading.Event
) -> None:
    with ThreadPoolExecutor(3) as callers:
        admitted = [callers.submit(requests.get, strict.url, timeout=20) for _ in range(2)]
        eventually(lambda: upstream.serving == 2)
        began = time.monotonic()
        refused = requests.get(strict.url, timeout=20)
        waited = time.monotonic() - began
        release.set()

        assert [call.result().status_code for call in admitted] == [200, 200]
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert problem(refused)["title"] == "Service Unavailable"
    assert 0.5 <= waited < 5


def test_held_requests_leave_the_places_to_others(front: Front, upstream: Upstream, release: threading.Event) -> None:
    with ThreadPoolExecutor(20) as callers:
        # Given more waiting callers than there are places
        waiting = [callers.submit(requests.get, f"{front.url}/things/{n}?x=/y", timeout=20) for n in range(5)]
        eventually(lambda: upstream.serving == 5)
        # Then the places are free for requests that do not wait
        plain = [callers.submit(requests.get, front.url, timeout=20) for _ in range(2)]
        eventually(lambda: upstream.serving == 7)
        release.set()
        assert {call.result().status_code for call in waiting + plain} == {200}


def test_requests_to_other_routes_keep_their_places(
    strict: Front, upstream: Upstream, release: threading.Event
) -> None:
    with ThreadPoolExecutor(2) as callers:
        # Another method, or deeper, than a route that may hold its caller
        plain = [callers.submit(requests.post, f"{strict.url}/things/1", timeout=20)]
        plain += [callers.submit(requests.get, f"{strict.url}/things/1/more", timeout=20)]
        eventually(lambda: upstream.serving == 2)
        # A request queues for as long as others need to be held.
        assert requests.post(f"{strict.url}/wait", timeout=20).status_code == 503
        release.set()
        assert {call.result().status_code for call in plain} == {200}


def test_a_caller_who_hangs_up_frees_the_place(front: Front, upstream: Upstream, release: threading.Event) -> None:
    for number in (1, 2):
        with socket.create_connection(("127.0.0.1", front.port)) as caller:
            caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            eventually(partial(arrived, upstream, number))

    release.set()
    assert requests.get(front.url, timeout=10).status_code == 200


# The proxy's own problems.


def test_an_unreachable_api_is_503_with_retry_after(front: Front) -> None:
    front.point(f"http://127.0.0.1:{ports.free()}", [])
    response = requests.get(front.url, timeout=10)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    problem(response)


@pytest.mark.usefixtures("release")
def test_an_api_without_an_answer_in_time_is_504(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "ANSWER_SECONDS", 0.3)
    for front in running(upstream, queue_seconds=30):
        response = requests.get(front.url, timeout=5)
    assert response.status_code == 504
    assert response.json()["code"] == "gateway-timeout"


def test_an_api_that_closes_the_connection_is_502(front: Front, upstream: Upstream) -> None:
    def answer(_: ReceivedRequest) -> Answer:
        raise ConnectionAbortedError

    upstream.answer = answer
    response = requests.get(front.url, timeout=10)
    assert response.status_code == 502
    assert problem(response)["title"] == "Bad Gateway"


def test_a_throttled_function_is_503_with_retry_after(front: Front, upstream: Upstream) -> None:
    upstream.answer_with(429, THROTTLED)
    response = requests.get(front.url, timeout=10)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert "Reserved" not in json.dumps(problem(response))


@pytest.mark.parametrize(("status", "body"), [(502, b'{"message": "Worker process died"}'), (500, b"")])
def test_a_dead_function_or_emulator_is_502(front: Front, upstream: Upstream, status: int, body: bytes) -> None:
    upstream.answer = lambda _: Answer(status, body)
    response = requests.get(front.url, timeout=10)
    assert response.status_code == 502
    assert problem(response)["title"] == "Bad Gateway"
    assert "Worker" not in response.text


def test_the_emulators_message_of_a_fault_is_reported(upstream: Upstream) -> None:
    faults: list[str] = []
    front = Front(on_fault=faults.append)
    front.point(upstream.url, [])
    front.start()
    upstream.answer_with(502, {"message": "Worker init failed: No module named 'x'"})

    requests.get(f"{front.url}/things", timeout=10)

    front.stop()
    assert faults == ['GET /things: 502 {"message": "Worker init failed: No module named \'x\'"}']


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (429, {"message": "slow down"}),
        (429, [1]),
        (502, {"message": "x", "more": 1}),
        (404, {"message": "x"}),
        (200, THROTTLED),
    ],
)
def test_every_other_answer_is_returned_unchanged(
    front: Front, upstream: Upstream, status: int, document: object
) -> None:
    upstream.answer_with(status, document)
    response = requests.get(front.url, timeout=10)
    assert (response.status_code, response.json()) == (status, document)
