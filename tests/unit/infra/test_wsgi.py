"""HTTP to event and back: the gateway's own event, under a server that keeps to PEP 3333."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlencode
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import app
from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import waiting as runtime_waiting
from chalicelib.core.web.application import App
from chalicelib.core.web.roles import NOBODY, PUBLIC
from chalicelib.core.web.routes import Call, Routes
from infra.server import wsgi as module
from infra.server.route_table import Paths
from infra.server.wsgi import Places, Server
from tests.support.gateway import event
from tests.unit.conftest import Printed

PLACES = Places(at_work=1, held=1)


class Response(NamedTuple):
    """A response as the server sends it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return dict(self.headers)[name]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Recorder(App):
    """An application that keeps the last event and answers with a fixed response."""

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        self.event, self.left = event, context.get_remaining_time_in_millis()
        headers = {"Content-Type": "text/plain", "Content-Length": "2"}
        return {
            "statusCode": 200,
            "headers": headers,
            "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
            "body": "ok",
        }


@pytest.fixture
def recorder() -> Recorder:
    recorder = Recorder("recorder", identify=lambda _: NOBODY)
    recorder.routes.update(app.routes)
    return recorder


def call(
    server: Server, method: str, path: str, query: str = "", body: bytes | io.BytesIO = b"", **headers: str
) -> Response:
    """Call *server* by PEP 3333, with *path* as the client sent it, and return the response."""
    sent = body if isinstance(body, io.BytesIO) else io.BytesIO(body)
    given = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, encoding="latin-1"),
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "203.0.113.7",
        "wsgi.input": sent,
        **({"CONTENT_LENGTH": str(len(sent.getvalue()))} if sent.getvalue() else {}),
        **headers,
    }
    setup_testing_defaults(given)
    statuses: list[Any] = []
    answer: Any = validator(server)(given, lambda status, headers, _info=None: statuses.extend([status, headers]))  # type: ignore[arg-type]
    words = b"".join(answer)
    answer.close()
    return Response(int(statuses[0].split()[0]), statuses[1], words)


def _as_environ(sent: dict[str, Any]) -> dict[str, Any]:
    """Return an event's headers as the WSGI environ has them."""
    named = {name.upper().replace("-", "_"): value for name, value in sent["headers"].items()}
    plain = {"CONTENT_TYPE", "CONTENT_LENGTH"}
    return {name if name in plain else f"HTTP_{name}": value for name, value in named.items()}


# --- the event


@pytest.mark.parametrize(
    "name", ["health", "list-approvals", "preflight", "resolve", "send-notification", "show-user", "wrong-method"]
)
def test_a_request_becomes_the_gateways_own_event(recorder: Recorder, name: str) -> None:
    sent = event(name)
    query = urlencode(sent["multiValueQueryStringParameters"] or {}, doseq=True)
    body = (sent["body"] or "").encode()
    call(Server(recorder, PLACES), sent["httpMethod"], sent["path"], query, body, **_as_environ(sent))
    ours = recorder.event
    same = ("resource", "httpMethod", "stageVariables", "body", "isBase64Encoded")
    assert {part: ours[part] for part in same} == {part: sent[part] for part in same}
    # Either may be percent-encoded.
    assert unquote(ours["path"]) == unquote(sent["path"])
    params = [{name: unquote(value) for name, value in (one["pathParameters"] or {}).items()} for one in (ours, sent)]
    assert params[0] == params[1]
    for part in ("queryStringParameters", "multiValueQueryStringParameters"):
        assert ours[part] == sent[part]
    # A WSGI server adds the length and loses the case of names.
    lowered = {header.lower(): value for header, value in ours["headers"].items()}
    assert lowered.items() >= {header.lower(): value for header, value in sent["headers"].items()}.items()
    asked = ("resourcePath", "httpMethod", "protocol")
    assert {part: ours["requestContext"][part] for part in asked} == {
        part: sent["requestContext"][part] for part in asked
    }
    assert ours["requestContext"]["identity"]["sourceIp"] == sent["requestContext"]["identity"]["sourceIp"]


def test_every_request_has_an_id_and_a_functions_time_limit(recorder: Recorder) -> None:
    server = Server(recorder, PLACES)
    ids = set()
    for _ in range(3):
        call(server, "GET", "/health")
        ids.add(recorder.event["requestContext"]["requestId"])
        assert 28_000 < recorder.left <= 29_000
    assert len(ids) == 3


@given(text=st.text(min_size=1).filter(lambda text: "/" not in text))
def test_a_path_parameter_of_any_text_is_preserved(text: str) -> None:
    escaped = quote(text.encode(errors="replace"), safe="")
    found = Paths(["/api/things/{name}/parts"]).find(f"/api/things/{escaped}/parts")
    assert found.params is not None
    assert unquote(found.params["name"]) == text.encode(errors="replace").decode()


@pytest.mark.parametrize("path", ["/api/users/a%40b.c", "/api/users/a@b.c", "/api/users/%C3%A4", "/api/users/a%20b"])
def test_a_percent_encoded_path_parameter_is_preserved(recorder: Recorder, path: str) -> None:
    call(Server(recorder, PLACES), "GET", path)
    assert recorder.event["resource"] == "/api/users/{username}"
    assert unquote(recorder.event["pathParameters"]["username"]) == unquote(path.rpartition("/")[2])


@given(pairs=st.lists(st.tuples(st.text(min_size=1), st.text())))
def test_a_query_keeps_every_value_of_every_name(pairs: list[tuple[str, str]]) -> None:
    recorder = Recorder("recorder", identify=lambda _: NOBODY)
    encoded = [(name.encode(errors="replace"), value.encode(errors="replace")) for name, value in pairs]
    call(Server(recorder, PLACES), "GET", "/health", urlencode(encoded))
    several: dict[str, list[str]] = {}
    for name, value in encoded:
        several.setdefault(name.decode(), []).append(value.decode())
    assert recorder.event["multiValueQueryStringParameters"] == (several or None)
    last = {name: values[-1] for name, values in several.items()}
    assert recorder.event["queryStringParameters"] == (last or None)


def test_a_literal_segment_takes_precedence_over_a_placeholder() -> None:
    paths = Paths(["/a/{x}", "/a/b", "/{x}/b/c", "/a/{x}/c", "/a/{x}/{y}"])
    assert paths.find("/a/b") == ("/a/b", None)
    assert paths.find("/a/z") == ("/a/{x}", {"x": "z"})
    assert paths.find("/a/b/c") == ("/a/{x}/c", {"x": "b"})
    assert paths.find("/a/b/d") == ("/a/{x}/{y}", {"x": "b", "y": "d"})
    assert paths.find("/z/b/c") == ("/{x}/b/c", {"x": "z"})


@pytest.mark.parametrize("path", ["/", "/nothing", "/a/", "/a//c", "/a/b/c/d", "//"])
def test_a_path_without_a_route_is_its_own_resource(path: str) -> None:
    assert Paths(["/a/{x}", "/a/{x}/c"]).find(path) == (path, None)


def test_invalid_utf8_in_a_body_is_replaced(recorder: Recorder) -> None:
    call(Server(recorder, PLACES), "POST", "/api/sessions", body=b"\xff{")
    assert recorder.event["body"] == "\ufffd{"


# --- the answer


def test_an_answer_keeps_repeated_headers(recorder: Recorder) -> None:
    response = call(Server(recorder, PLACES), "GET", "/health")
    assert (response.status, response.body) == (200, b"ok")
    assert [value for name, value in response.headers if name == "Set-Cookie"] == ["a=1", "b=2"]


def test_the_application_itself_answers() -> None:
    server = Server(app, PLACES)
    assert call(server, "GET", "/health").json["status"] == "ok"
    for method, path, status in [("GET", "/nothing", 404), ("PUT", "/health", 405), ("GET", "/api/applications", 401)]:
        response = call(server, method, path)
        assert (response.status, response.json["status"], response.header("Content-Type")) == (
            status,
            status,
            "application/problem+json",
        )
        assert response.json["requestId"] == response.header("X-Request-Id")


def test_a_body_over_the_limit_is_read_to_the_limit_alone() -> None:
    longest = max(endpoint.largest_body_bytes for endpoint in app.endpoints)
    sent = io.BytesIO(b"x" * (longest * 3))
    assert call(Server(app, PLACES), "POST", "/api/sessions", body=sent).status == 413
    assert sent.tell() == longest + 1


def test_a_truncated_body_is_400_without_calling_the_application(recorder: Recorder) -> None:
    response = call(Server(recorder, PLACES), "POST", "/api/sessions", body=b'{"a": 1}', CONTENT_LENGTH="50")
    assert (response.status, response.json["detail"]) == (400, "The body broke off.")
    assert not hasattr(recorder, "event")


def test_a_body_in_chunks_is_411_without_calling_the_application(recorder: Recorder) -> None:
    response = call(Server(recorder, PLACES), "POST", "/api/sessions", body=b"{}", HTTP_TRANSFER_ENCODING="chunked")
    assert (response.status, response.header("Content-Type")) == (411, "application/problem+json")
    assert not hasattr(recorder, "event")


def test_environment_variables_do_not_become_headers(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@proxy")
    call(Server(recorder, PLACES), "GET", "/health", HTTP_PROXY="http://user:secret@proxy", HTTP_ACCEPT="text/plain")
    assert recorder.event["headers"]["Accept"] == "text/plain"
    assert "secret" not in str(recorder.event)


# --- held and queued requests


class Waiting:
    """An application with a route that waits until *let_go* is set, and a route that works until then."""

    def __init__(self) -> None:
        self.inside, self.let_go = threading.Semaphore(0), threading.Event()
        self.waits_of_a_call = 1
        self.routes = Routes("waiting")
        anyone: dict[str, Any] = {"roles": PUBLIC, "answers": {204: None}}
        self.routes.add("GET", "/wait/{name}", waits=True, params={"name": str}, **anyone)(self._wait)
        self.routes.add("GET", "/slow", **anyone)(self._slow)
        self.routes.add("GET", "/else", **anyone)(self._else)
        self.app = App("waiting", identify=lambda _: NOBODY)
        self.app.mount(self.routes)

    def _wait(self, _call: Call[Any, Any], name: str) -> None:
        if not all(runtime_waiting.begin() for _ in range(self.waits_of_a_call)):
            raise Unavailable(retry_after_seconds=1)
        self._slow(_call, name)

    def _slow(self, _call: Call[Any, Any], name: str = "slow") -> None:
        self.inside.release()
        assert self.let_go.wait(10), name

    def _else(self, _call: Call[Any, Any]) -> None:
        """Answer at once."""


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    waiting = Waiting()
    yield waiting
    waiting.let_go.set()


def test_a_waiting_request_over_the_limit_is_503_with_retry_after(
    waiting: Waiting, options: Callable[..., None]
) -> None:
    options(HTTP_ALLOWED_ORIGINS='["https://page.example"]')
    server, statuses = Server(waiting.app, Places(at_work=1, held=2)), []
    threads = [
        threading.Thread(target=lambda: statuses.append(call(server, "GET", "/wait/a").status)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
        waiting.inside.acquire(timeout=10)
    # A further request cannot wait; a request that does not wait is answered.
    origin = "https://page.example"
    crowded = call(server, "GET", "/wait/b", HTTP_X_REQUEST_ID="mine", HTTP_ORIGIN=origin)
    assert (crowded.status, crowded.header("Retry-After")) == (503, "1")
    assert crowded.header("Content-Type") == "application/problem+json"
    # The refusal has the request's id, and the CORS headers for pages of an allowed origin.
    assert crowded.json["requestId"] == crowded.header("X-Request-Id") == "mine"
    assert crowded.header("Access-Control-Allow-Origin") == origin
    assert call(server, "GET", "/else").status == 204
    waiting.let_go.set()
    for thread in threads:
        thread.join()
    assert statuses == [204, 204]
    # The finished requests gave their places back.
    assert call(server, "GET", "/wait/c").status == 204


def test_request_that_waits_twice_keeps_one_held_place(waiting: Waiting) -> None:
    server = Server(waiting.app, Places(at_work=1, held=1))
    waiting.let_go.set()
    waiting.waits_of_a_call = 2
    for name in ("a", "b"):
        assert call(server, "GET", f"/wait/{name}").status == 204
    assert call(server, "GET", "/else").status == 204


def test_request_refused_a_held_place_keeps_its_place_at_work(waiting: Waiting) -> None:
    # Given a request that waits, and a request that could not wait and works on
    server, told = Server(waiting.app, Places(at_work=1, held=1)), []
    held = threading.Thread(target=lambda: told.append(call(server, "GET", "/wait/a").status))
    held.start()
    waiting.inside.acquire(timeout=10)
    assert call(server, "GET", "/wait/b").status == 503
    # Then exactly one place at work is left
    slow = threading.Thread(target=lambda: told.append(call(server, "GET", "/slow").status))
    slow.start()
    waiting.inside.acquire(timeout=10)
    queued = threading.Thread(target=lambda: told.append(call(server, "GET", "/else").status))
    queued.start()
    assert told == []
    waiting.let_go.set()
    for thread in (held, slow, queued):
        thread.join()
    assert told.count(204) == 3


def test_requests_over_the_work_limit_queue_and_then_are_503(
    waiting: Waiting, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a slow request at work
    server, statuses = Server(waiting.app, Places(at_work=1, held=1)), []
    slow = threading.Thread(target=lambda: statuses.append(call(server, "GET", "/slow").status))
    slow.start()
    waiting.inside.acquire(timeout=10)
    # When a second request queues for too long, it is refused and logged
    monkeypatch.setattr(module, "_QUEUE_SECONDS", 0.01)
    assert call(server, "GET", "/else").status == 503
    assert [(line["route"], line["status"]) for line in printed.lines()] == [("/else", 503)]
    # When a request may queue for longer, it gets its turn
    monkeypatch.setattr(module, "_QUEUE_SECONDS", 10)
    patient = threading.Thread(target=lambda: statuses.append(call(server, "GET", "/else").status))
    patient.start()
    assert patient.is_alive()
    waiting.let_go.set()
    for thread in (slow, patient):
        thread.join()
    assert statuses == [204, 204]
