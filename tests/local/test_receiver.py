"""The receiver of callbacks: keeps calls, answers as told, and is closed to pages of other sites."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from infra.environment import ROOT
from infra.host import ports
from infra.local.processes import receiver as module
from infra.local.processes import receiver_main
from infra.local.processes.receiver import Receiver
from tests.support.waiting import eventually, gone

CONSOLE = "http://localhost:8000"
HANG = {"status": 204, "delayMs": 20_000}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    made = Receiver(tmp_path_factory.mktemp("receiver"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def url(started: Receiver) -> Iterator[str]:
    """A receiver that has received nothing and answers 204."""
    yield started.url
    requests.delete(f"{started.url}/received", timeout=10)
    tell(started.url, status=204)


def tell(url: str, **answer: Any) -> requests.Response:
    return requests.put(f"{url}/answer", json=answer, timeout=10)


def received(url: str) -> list[dict[str, Any]]:
    document: dict[str, Any] = requests.get(f"{url}/received", timeout=10).json()
    return list(document["items"])


def problem_of(response: requests.Response, status: int) -> str:
    """Return the detail of a problem with *status*."""
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
    problem = response.json()
    assert (problem["status"], bool(problem["title"])) == (status, True)
    return str(problem["detail"])


# Calls.


def test_call_is_kept_with_its_body_and_signature(url: str) -> None:
    headers = {"webhook-id": "msg_1", "Webhook-Signature": "v1,abc", "X-Request-Id": "r-1", "Cookie": "secret"}
    sent = requests.post(f"{url}/hook?one=1", data='{"type": "a",  "é": 1}'.encode(), headers=headers, timeout=10)
    assert (sent.status_code, sent.content) == (204, b"")
    (call,) = received(url)
    assert (call["path"], call["body"], call["status"]) == ("/hook?one=1", '{"type": "a",  "é": 1}', 204)
    agent = call["headers"].pop("user-agent")
    assert agent.startswith("python-requests")
    assert call["headers"] == {"webhook-id": "msg_1", "webhook-signature": "v1,abc", "x-request-id": "r-1"}
    assert call["at"].endswith("Z")


def test_newest_hundred_calls_are_kept_newest_first(url: str) -> None:
    for number in range(103):
        requests.post(f"{url}/{number}", timeout=10)
    calls = received(url)
    assert [call["path"] for call in calls] == [f"/{number}" for number in range(102, 2, -1)]
    assert len({call["id"] for call in calls}) == 100


def test_forgotten_calls_are_gone_and_the_answer_stays(url: str) -> None:
    tell(url, status=500)
    requests.post(url, timeout=10)
    assert requests.delete(f"{url}/received", timeout=10).status_code == 204
    document = requests.get(f"{url}/received", timeout=10).json()
    assert document == {"items": [], "answer": {"status": 500, "retryAfter": None, "delayMs": 0}}


def test_call_is_answered_as_told(url: str) -> None:
    told = tell(url, status=429, retryAfter=30)
    assert (told.status_code, told.json()) == (200, {"status": 429, "retryAfter": 30, "delayMs": 0})
    answer = requests.post(url, timeout=10)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
    assert received(url)[0]["status"] == 429


def test_call_of_a_caller_that_left_has_no_status(url: str) -> None:
    tell(url, **HANG)
    with pytest.raises(requests.ReadTimeout):
        requests.post(url, timeout=0.3)
    assert [call["status"] for call in received(url)] == [None]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({}, '"status" must be 200, 204, or from 400 to 599.'),
        ({"status": 302}, '"status" must be 200, 204, or from 400 to 599.'),
        ({"status": "500"}, '"status" must be'),
        ({"status": [204]}, '"status" must be'),
        ({"status": 429, "retryAfter": -1}, '"retryAfter" must be whole seconds'),
        ({"status": 429, "retryAfter": True}, '"retryAfter" must be whole seconds'),
        ({"status": 204, "delayMs": 20_001}, '"delayMs" must be whole milliseconds from 0 to 20000.'),
        ({"status": 204, "delay": 1}, "The body must be an object"),
        ([204], "The body must be an object"),
    ],
)
def test_answer_that_cannot_be_given_is_422(url: str, answer: Any, words: str) -> None:
    assert words in problem_of(requests.put(f"{url}/answer", json=answer, timeout=10), 422)
    assert requests.post(url, timeout=10).status_code == 204


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 60_000])
def test_answer_that_is_not_json_is_400(url: str, body: bytes) -> None:
    assert problem_of(requests.put(f"{url}/answer", data=body, timeout=10), 400) == "The body is not JSON."


# Limits.


def test_body_over_64_kilobytes_is_refused_and_shown_as_413(url: str) -> None:
    assert requests.post(url, data=b"x" * 65_536, timeout=10).status_code == 204
    assert "65536" in problem_of(requests.post(url, data=b"x" * 400_000, timeout=10), 413)
    assert [(call["status"], len(call["body"])) for call in received(url)] == [(413, 0), (204, 65_536)]


def test_body_without_a_length_is_refused(url: str) -> None:
    assert "Content-Length" in problem_of(requests.post(url, data=iter([b"x"]), timeout=10), 411)


def test_request_that_is_not_http_gets_a_problem(started: Receiver) -> None:
    with socket.create_connection((ports.HOST, started.port), timeout=10) as connection:
        connection.sendall(b"GET /received HTTP/nine\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert b" 400 " in answer.splitlines()[0]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 400


@pytest.mark.parametrize(("method", "path"), [("GET", "/hook"), ("PUT", "/received"), ("POST", "/answer")])
def test_method_that_a_path_does_not_take_is_405(url: str, method: str, path: str) -> None:
    answer = requests.request(method, f"{url}{path}", timeout=10)
    assert answer.headers["Allow"] in problem_of(answer, 405)


def test_seventeenth_connection_waits_until_another_ends(url: str, started: Receiver) -> None:
    tell(url, **HANG)
    with ExitStack() as open_until_the_end:
        for _ in range(16):
            connection = socket.create_connection((ports.HOST, started.port))
            open_until_the_end.enter_context(connection)
            connection.sendall(b"POST / HTTP/1.0\r\n\r\n")
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{url}/received", timeout=0.5)
        # A caller that leaves frees its place at once, though its answer was to take 20 s.
        connection.close()
        assert len(received(url)) == 16


def test_caller_that_sends_slowly_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_main, "REQUEST_SECONDS", 0.3)
    with receiver_main.Server(module.listening(0)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with socket.create_connection((ports.HOST, server.socket.getsockname()[1]), timeout=10) as connection:
            connection.sendall(b"POST / HTTP/1.0\r\nContent-Length: 100\r\n\r\n0123")
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        server.shutdown()
    assert b" 408 " in answer.splitlines()[0]
    assert b"did not come whole in time" in answer


# Pages of other sites.


@pytest.mark.parametrize("origin", [CONSOLE, "http://127.0.0.1:49152"])
def test_page_of_this_machine_may_read_and_change(url: str, origin: str) -> None:
    headers = {"Origin": origin}
    asked = {**headers, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    preflight = requests.options(f"{url}/answer", headers=asked, timeout=10)
    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Methods"]) == (204, "PUT")
    assert preflight.headers["Access-Control-Allow-Headers"] == "Content-Type"
    refused = requests.put(f"{url}/answer", data=b"", headers=headers, timeout=10)
    read = requests.get(f"{url}/received", headers=headers, timeout=10)
    for answer in (preflight, refused, read):
        assert (answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]) == (origin, "Origin")


@pytest.mark.parametrize(
    "origin",
    ["https://example.org", "null", "http://localhost.example.org", "https://localhost:8000", "http://127.0.0.1:1@x"],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/received"), ("DELETE", "/received"), ("PUT", "/answer")])
def test_page_of_another_site_is_403(url: str, origin: str, method: str, path: str) -> None:
    requests.post(url, timeout=10)
    for asked in (method, "OPTIONS"):
        answer = requests.request(asked, f"{url}{path}", json={"status": 500}, headers={"Origin": origin}, timeout=10)
        problem_of(answer, 403)
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert len(received(url)) == 1
    assert requests.post(url, timeout=10).status_code == 204


@pytest.mark.parametrize("host", ["attacker.example", "localhost.attacker.example:8001", "127.0.0.1.nip.io", ""])
def test_name_that_was_rebound_to_this_machine_is_403(url: str, host: str) -> None:
    for method, path in (("GET", "/received"), ("PUT", "/answer")):
        problem_of(requests.request(method, f"{url}{path}", headers={"Host": host}, timeout=10), 403)


# The process.


def test_receiver_keeps_its_port_and_forgets_its_calls(tmp_path: Path) -> None:
    first = Receiver(tmp_path)
    first.start()
    requests.post(first.url, timeout=10)
    first.stop()
    second = Receiver(tmp_path)
    second.start(ports.free())
    try:
        assert second.port == first.port
        assert received(second.url) == []
    finally:
        second.stop()


def test_two_receivers_never_share_the_port_they_prefer(tmp_path: Path) -> None:
    preferred = ports.free()
    both = [Receiver(tmp_path / name) for name in ("one", "two")]
    threads = [threading.Thread(target=each.start, args=[preferred]) for each in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert sum(each.port == preferred for each in both) == 1
        assert all(received(each.url) == [] for each in both)
    finally:
        for each in both:
            each.stop()


@pytest.mark.parametrize("preferred", [ports.SERVE, 65_536])
def test_port_that_cannot_be_had_is_replaced(tmp_path: Path, preferred: int) -> None:
    made = Receiver(tmp_path)
    made.start(preferred)
    made.stop()
    assert made.port not in {0, preferred}


def test_receiver_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = f"""
import time
from pathlib import Path
from infra.local.processes.receiver import Receiver
receiver = Receiver(Path({str(tmp_path)!r}))
receiver.start()
print(receiver.child.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        parent.send_signal(signal.SIGKILL)
    eventually(lambda: gone(pid))
