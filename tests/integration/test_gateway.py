"""Answers for every route: unknown paths, wrong methods, browsers of other origins, health."""

from collections.abc import Iterator

import pytest

from infra.local.stack import Stack
from tests.support.client import Client, json_of, problem_of
from tests.support.stack import configured

pytestmark = pytest.mark.stack

ORIGIN = "https://console.example.com"


@pytest.fixture(params=["front", "gateway"])
def door(stack: Stack, admin: Client, request: pytest.FixtureRequest) -> Client:
    """A client of an administrator, through the proxy or the gateway."""
    return admin.at(stack.url if request.param == "front" else stack.api_url)


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/api", "/api/nothing", "/api/users/a/b/c", "/api/pending-responses/a/b", "/%2e%2e/health", "/\u20ac"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_path_without_a_route_is_404(door: Client, method: str, path: str) -> None:
    problem_of(door.call(method, path), 404)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/health", {"GET", "HEAD"}),
        ("/send-notification", {"POST"}),
        ("/api/sessions", {"GET", "POST"}),
        ("/api/sessions/current", {"DELETE", "GET"}),
        ("/api/users/ann", {"DELETE", "GET", "PATCH"}),
        ("/api/pending-responses/cleanup", {"GET", "POST"}),
        ("/api/pending-responses/01ARZ3NDEKTSV4RRFFQ69G5FAV/resolve", {"POST"}),
    ],
)
def test_an_unsupported_method_is_405_with_allow(door: Client, path: str, allowed: set[str]) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - allowed:
        answer = door.call(method, path)
        problem_of(answer, 405)
        named = {name.strip() for name in answer.headers["Allow"].split(",")}
        assert method not in named
        assert named <= allowed


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "LINK", "QUERY"])
@pytest.mark.parametrize(("path", "allowed"), [("/health", "GET, HEAD"), ("/send-notification", "POST")])
def test_method_unknown_to_the_gateway_is_not_allowed(door: Client, path: str, allowed: str, method: str) -> None:
    answer = door.call(method, path)
    problem_of(answer, 405)
    assert answer.headers["Allow"] == allowed


def test_a_head_has_no_body(door: Client) -> None:
    answer = door.call("HEAD", "/health")
    assert (answer.status_code, answer.headers["Content-Type"], answer.content) == (200, "application/json", b"")
    answer = door.call("HEAD", "/send-notification")
    assert (answer.status_code, answer.headers["Allow"], answer.content) == (405, "POST", b"")


def test_health_names_the_process_without_a_session(stack: Stack) -> None:
    answer = Client(stack.url).get("/health")
    health = json_of(answer)
    assert set(health) == {"status", "version", "instanceId", "uptimeSeconds"}
    assert health["status"] == "ok"
    assert health["instanceId"] == answer.headers["X-Instance-Id"]


def test_ready_names_every_store_with_its_latency(stack: Stack) -> None:
    ready = json_of(Client(stack.url).get("/ready"))
    assert ready["status"] == "ready"
    assert set(ready["stores"]) == {"mongodb", "dynamodb"}
    assert all(store["ok"] and store["latencyMs"] > 0 for store in ready["stores"].values())


# Browsers.


@pytest.fixture
def open_to_the_console(stack: Stack) -> Iterator[None]:
    """Allow an origin by the setting."""
    with configured(stack, "api", HTTP_ALLOWED_ORIGINS=f'["{ORIGIN}"]'):
        yield


def _preflight(client: Client, path: str, origin: str = ORIGIN) -> dict[str, str]:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = Client(client.url).call("OPTIONS", path, headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    return {name.lower(): value for name, value in answer.headers.items()}


@pytest.mark.usefixtures("open_to_the_console")
@pytest.mark.parametrize(("path", "methods"), [("/api/sessions", "GET, POST"), ("/send-notification", "POST")])
def test_a_browser_of_an_allowed_origin_may_call(door: Client, path: str, methods: str) -> None:
    # Given the browser's preflight, without a session
    headers = _preflight(door, path)
    assert headers["access-control-allow-origin"] == ORIGIN
    assert headers["access-control-allow-methods"] == methods
    assert "Authorization" in headers["access-control-allow-headers"]
    assert headers["vary"] == "Origin"
    # Then answers and refusals can be read too
    for answer in (
        door.get("/api/sessions/current", headers={"Origin": ORIGIN}),
        Client(door.url).get("/api/sessions/current", headers={"Origin": ORIGIN}),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "X-Request-Id" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.usefixtures("open_to_the_console")
@pytest.mark.parametrize("origin", ["https://evil.example.com", f"{ORIGIN}.evil.example.com", "null", ""])
def test_a_browser_of_another_origin_gets_no_cors_headers(door: Client, origin: str) -> None:
    headers = _preflight(door, "/api/sessions", origin)
    assert "access-control-allow-origin" not in headers
    assert headers["vary"] == "Origin"


def test_no_origin_is_allowed_by_default(door: Client) -> None:
    assert "access-control-allow-origin" not in _preflight(door, "/api/sessions")


def test_gateway_error_can_be_read_by_pages_of_every_origin(door: Client) -> None:
    headers = door.get("/nothing", headers={"Origin": ORIGIN}).headers
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Expose-Headers"] == "Retry-After"
    assert "Access-Control-Allow-Credentials" not in headers


def test_a_preflight_of_an_unknown_path_is_404(door: Client) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    problem_of(door.call("OPTIONS", "/nothing", headers=headers), 404)
