import base64
import copy
import json
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from app import app
from chalicelib.core import errors
from chalicelib.core.models import Model
from chalicelib.core.runtime import deadline, ids, settings
from chalicelib.core.stores import clients
from chalicelib.core.web.application import App
from chalicelib.core.web.roles import NOBODY, PUBLIC, Role
from chalicelib.core.web.routes import Call, Routes
from chalicelib.sessions import wiring as sessions_wiring
from chalicelib.sessions.settings import SessionSettings
from chalicelib.sessions.store import SessionStore
from chalicelib.users.store import UserStore
from tests.support.gateway import Answer, Context, ask, event, invoke
from tests.unit.conftest import Printed

Mongo = Database[dict[str, Any]]
Options = Callable[..., None]


@pytest.fixture
def admin(sessions: SessionStore) -> str:
    return sessions.open("admin", [Role.ADMIN], "e").token


@pytest.fixture
def ann(sessions: SessionStore) -> str:
    return sessions.open("ann", [Role.USER], "e").token


def refused(answer: Answer, status: int) -> dict[str, Any]:
    """Check the members of every problem, and return the problem."""
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json
    assert problem["type"] == f"/problems/{problem['code']}"
    assert (problem["status"], problem["title"]) == (status, errors.phrase(status))
    assert problem["detail"]
    assert problem["requestId"] == answer.headers["X-Request-Id"]
    assert not re.search(r"Traceback|File \"|pymongo|botocore|mongod|\wError\b", answer.text)
    assert set(problem) <= {"type", "code", "title", "status", "detail", "requestId", "errors"}
    return problem


# --- answers


def test_health_is_answered_to_the_event_the_gateway_sends() -> None:
    answer = invoke(event("health"))
    assert answer.status == 200
    assert (answer.json["status"], answer.json["instanceId"]) == ("ok", ids.INSTANCE_ID)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


def test_every_answer_names_its_request_and_its_instance() -> None:
    for answer in (invoke(event("health")), invoke(event("wrong-method")), invoke(event("preflight"))):
        assert answer.headers["X-Request-Id"] == "0f3a7c52-7f0e-4a7d-9a5b-6d1c2e3f4a5b"
        assert answer.headers["X-Instance-Id"] == ids.INSTANCE_ID


@pytest.mark.parametrize("name", ["X-Request-Id", "x-request-id"])
def test_a_callers_own_request_id_is_echoed(name: str) -> None:
    answer = ask("GET", "/health", headers={name: "trace-1.a_B" + "x" * 53})
    assert answer.headers["X-Request-Id"] == "trace-1.a_B" + "x" * 53


@pytest.mark.parametrize("bad", ["", "a b", "x" * 65, "é", "a\r\nSet-Cookie: x", '"', "{}", "a\n"])
def test_an_ill_formed_request_id_is_replaced(bad: str) -> None:
    answer = ask("GET", "/health", headers={"X-Request-Id": bad})
    assert answer.headers["X-Request-Id"] == "0f3a7c52-7f0e-4a7d-9a5b-6d1c2e3f4a5b"


def test_an_answer_without_a_body_has_none(ann: str) -> None:
    answer = ask("DELETE", "/api/sessions/current", token=ann)
    assert (answer.status, answer.text) == (204, "")
    assert "Content-Type" not in answer.headers


def test_a_body_in_base64_is_read(users: UserStore, mongodb: Mongo) -> None:
    assert refused(invoke(event("login-base64")), 401)


def test_escaped_name_in_the_path_is_decoded(admin: str, users: UserStore) -> None:
    users.add("ann@example.org", "hash", [Role.USER])
    sent = event("show-user")
    sent["headers"]["Authorization"] = f"Bearer {admin}"
    assert invoke(sent).json["username"] == "ann@example.org"


# --- refusals


@pytest.mark.parametrize(
    "text", ["", "{", "nonsense", '{"username": "ann"', "\x00", '{"username": "\\ud800"}', "[" * 500]
)
def test_body_that_is_no_json_is_400(text: str, admin: str) -> None:
    refused(ask("POST", "/send-notification", text=text, token=admin), 400)


def test_no_body_where_one_is_needed_is_400(admin: str) -> None:
    refused(ask("POST", "/send-notification", token=admin), 400)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YW5uOnB3",
        "Bearer made-up",
        "bearer  made up",
        "Bearer $ne",
        "Bearer é\x00",
    ],
)
def test_no_session_or_a_dead_one_is_401(mongodb: Mongo, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = ask("GET", "/api/sessions/current", headers=headers)
    refused(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_session_that_has_ended_is_401(sessions: SessionStore, ann: str) -> None:
    assert ask("GET", "/api/sessions/current", token=ann).status == 200
    sessions.end_all("ann")
    refused(ask("GET", "/api/sessions/current", token=ann), 401)


def test_the_scheme_is_read_in_any_case(ann: str) -> None:
    assert ask("GET", "/api/sessions/current", headers={"authorization": f"BEARER {ann}"}).status == 200


def test_the_wrong_role_is_403(ann: str) -> None:
    refused(ask("GET", "/api/users", token=ann), 403)
    refused(ask("POST", "/send-notification", {"username": "bob"}, token=ann), 403)


def test_caller_is_checked_before_the_body(ann: str) -> None:
    refused(ask("POST", "/api/users", text="nonsense", token=ann), 403)
    refused(ask("POST", "/api/users", text="nonsense"), 401)


@pytest.mark.parametrize("path", ["/nowhere", "/api", "/health/", "/HEALTH", "/api/users/a/b"])
def test_an_unknown_path_is_404(path: str) -> None:
    refused(ask("GET", path), 404)


@pytest.mark.parametrize(
    "bad", ["short", "01kam2q3r4s5t6v7w8x9y0z1a2", "$where", "%2e%2e", "01KAM2Q3R4S5T6V7W8X9Y0Z1A2X"]
)
def test_impossible_id_is_404_without_a_store_round_trip(admin: str, printed: Printed, bad: str) -> None:
    refused(ask("GET", f"/api/pending-responses/{bad}", token=admin), 404)
    # The session's own read.
    assert printed.lines()[-1]["storeRoundTrips"] == 1


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_wrong_method_is_405_with_the_allowed_methods(method: str) -> None:
    answer = ask(method, "/health")
    refused(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD"


def test_all_methods_of_a_path_are_allowed() -> None:
    assert ask("PUT", "/api/users/ann").headers["Allow"] == "DELETE, GET, PATCH"


def test_a_body_over_the_limit_is_413_before_it_is_parsed(options: Options) -> None:
    # Given
    options(HTTP_MAX_BODY_BYTES="90")
    exact = '{"username": "ann", "password": "' + "x" * 55 + '"}'
    assert len(exact) == 90
    # Then
    for text in (exact + " ", "[" * 91, "é" * 46):
        refused(ask("POST", "/api/sessions", text=text), 413)
    sent = event("login-base64")
    sent["body"] = base64.b64encode(b"x" * 100).decode()
    refused(invoke(sent), 413)


def test_body_of_exactly_the_limit_is_read(options: Options) -> None:
    # Given
    options(HTTP_MAX_BODY_BYTES="90")
    sent = event("login-base64")
    sent["body"] = base64.b64encode(b"x" * 90).decode()
    # Then the body is read, and refused for its content alone
    refused(ask("POST", "/api/sessions", text="x" * 90), 400)
    refused(invoke(sent), 400)


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", "json"])
def test_other_media_type_is_415(media: str) -> None:
    answer = ask("POST", "/api/sessions", {"username": "ann", "password": "x"}, headers={"Content-Type": media})
    refused(answer, 415)


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON", " application/json "])
def test_json_media_type_is_read_in_any_spelling(media: str) -> None:
    answer = ask("POST", "/api/sessions", text="nonsense", headers={"Content-Type": media})
    refused(answer, 400)


def test_every_refused_field_is_named_and_no_value_is_repeated(admin: str) -> None:
    # Given
    body = {"username": "", "password": 12345678, "roles": ["king"], "extra": "hunter2"}
    # When
    answer = ask("POST", "/api/users", body, token=admin)
    # Then
    problem = refused(answer, 422)
    assert {fault["path"] for fault in problem["errors"]} == {"username", "password", "roles.0", "extra"}
    assert all(fault["message"] for fault in problem["errors"])
    assert not re.search("12345678|king|hunter2", answer.text)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"cursor": "made-up"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"status": "open"}, "status"),
        ({"username": "a b"}, "username"),
        ({"surprise": "1"}, "surprise"),
    ],
)
def test_a_query_that_cannot_be_read_is_422(admin: str, query: dict[str, str], path: str) -> None:
    problem = refused(ask("GET", "/api/pending-responses", query=query, token=admin), 422)
    assert [fault["path"] for fault in problem["errors"]] == [path]


def test_unexpected_error_is_500_without_its_text(
    monkeypatch: pytest.MonkeyPatch, admin: str, printed: Printed
) -> None:
    # Given
    def broken() -> None:
        raise RuntimeError("secret words of the store")

    monkeypatch.setattr(sessions_wiring, "store", broken)
    # When
    answer = ask("GET", "/api/sessions/current", token=admin)
    # Then
    refused(answer, 500)
    assert "secret words" not in answer.text
    fault, line = printed.lines()
    assert (fault["action"], fault["level"]) == ("request_failed", "ERROR")
    assert fault["requestId"] == line["requestId"] == answer.json["requestId"]
    assert "secret words of the store" in fault["exception"]
    assert line["status"] == 500


def test_unreachable_store_is_503_with_retry_after(
    monkeypatch: pytest.MonkeyPatch, dynamodb: Any, options: Options, printed: Printed
) -> None:
    # Given a port without a listener
    options(MONGODB_URI="mongodb://127.0.0.1:9/?directConnection=true", MONGODB_OPERATION_TIMEOUT_MS="300")
    down = clients.mongodb.make()
    monkeypatch.setattr(clients, "mongodb", lambda: down)
    store = SessionStore(down.sessions, settings.load(SessionSettings), lambda: b"a key")
    monkeypatch.setattr(sessions_wiring, "store", lambda: store)
    # When
    answer = ask("GET", "/api/sessions/current", token="any")
    ready = ask("GET", "/ready")
    down.client.close()
    # Then
    refused(answer, 503)
    assert int(answer.headers["Retry-After"]) >= 1
    assert "127.0.0.1" not in answer.text
    assert ready.status == 503
    assert int(ready.headers["Retry-After"]) >= 1
    assert {name: store["ok"] for name, store in ready.json["stores"].items()} == {"mongodb": False, "dynamodb": True}
    # An outage is no fault of this code.
    assert [line["level"] for line in printed.lines()] == ["INFO", "INFO"]


# --- CORS


def test_without_allowed_origins_no_cors_header_is_sent() -> None:
    answer = ask("GET", "/health", headers={"Origin": "https://console.example.org"})
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


def test_an_allowed_origin_may_read_the_answer_and_its_headers(options: Options) -> None:
    options(HTTP_ALLOWED_ORIGINS='["https://console.example.org"]')
    answer = ask("GET", "/nowhere", headers={"Origin": "https://console.example.org"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://console.example.org"
    assert {"Retry-After", "X-Request-Id", "X-Instance-Id"} <= set(
        answer.headers["Access-Control-Expose-Headers"].split(", ")
    )
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", ["https://evil.example.org", "https://console.example.org.evil.org", "null", None])
def test_other_origin_gets_no_cors_header_and_vary_names_it(options: Options, origin: str | None) -> None:
    options(HTTP_ALLOWED_ORIGINS='["https://console.example.org"]')
    answer = ask("GET", "/health", headers={"Origin": origin} if origin else {})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"


def test_wildcard_setting_allows_any_origin(options: Options) -> None:
    options(HTTP_ALLOWED_ORIGINS='["*"]')
    answer = ask("GET", "/health", headers={"Origin": "https://anyone.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://anyone.example"


def test_a_preflight_is_answered_for_the_route_and_without_a_session(options: Options) -> None:
    options(HTTP_ALLOWED_ORIGINS='["https://console.example.org"]', HTTP_PREFLIGHT_MAX_AGE_SECONDS="7")
    answer = invoke(event("preflight"))
    assert (answer.status, answer.text) == (204, "")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://console.example.org"
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert {"Authorization", "Content-Type", "X-Request-Id"} <= set(
        answer.headers["Access-Control-Allow-Headers"].split(", ")
    )
    assert answer.headers["Access-Control-Max-Age"] == "7"


# --- threads


class Echo(Model):
    """The content of a request."""

    word: str


def test_threads_never_see_each_others_request() -> None:
    # Given an application whose handler waits until all threads are inside
    gate = threading.Barrier(8)
    routes = Routes("echoing")

    @routes.add("POST", "/echo", roles=PUBLIC, body=Echo, answers={200: Echo})
    def echo(call: Call[Echo, None]) -> Echo:
        gate.wait(10)
        request, left_ms = routes.current_request, routes.lambda_context.get_remaining_time_in_millis()
        assert left_ms == deadline.remaining_ms()
        return Echo(word=f"{call.body.word} {request.headers['x-request-id']} {left_ms}")

    shared = App("echoing", identify=lambda token: NOBODY)
    shared.mount(routes)
    seen: dict[int, list[tuple[str, str]]] = {}

    def caller(number: int) -> None:
        seen[number] = []
        for turn in range(20):
            word = f"{number}-{turn}"
            sent = event("health")
            sent["requestContext"] |= {"resourcePath": "/echo", "httpMethod": "POST"}
            sent |= {"body": json.dumps({"word": word}), "httpMethod": "POST"}
            sent["headers"] |= {"x-request-id": word}
            answer = shared(sent, Context(remaining_ms=number))
            seen[number].append((answer["body"], answer["headers"]["X-Request-Id"]))

    # When
    threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then
    for number, answers in seen.items():
        words = [f"{number}-{turn}" for turn in range(20)]
        assert answers == [(Echo(word=f"{word} {word} {number}").model_dump_json(), word) for word in words]


# --- the log


def test_invocation_logs_one_complete_record(ann: str, printed: Printed) -> None:
    # When
    sent = event("list-approvals")
    sent["headers"]["Authorization"] = f"Bearer {ann}"
    answer = invoke(sent)
    # Then
    (line,) = printed.lines()
    assert answer.status == 200
    expected = {
        "kind": "request",
        "message": "request",
        "level": "INFO",
        "service": "holdfast",
        "requestId": "0f3a7c52-7f0e-4a7d-9a5b-6d1c2e3f4a5b",
        "instanceId": ids.INSTANCE_ID,
        "method": "GET",
        "route": "/api/pending-responses",
        "user": "ann",
        "status": 200,
        "storeRoundTrips": 2,
    }
    assert {name: line[name] for name in expected} == expected
    assert 0 < line["durationMs"] < 60_000
    metrics = line["_aws"]["CloudWatchMetrics"][0]
    assert {metric["Name"] for metric in metrics["Metrics"]} == {"durationMs", "storeRoundTrips"}
    assert metrics["Namespace"] == "Holdfast"


@pytest.mark.parametrize("sent", ["wrong-method", "preflight", "send-notification"])
def test_refused_request_logs_one_record(mongodb: Mongo, printed: Printed, sent: str) -> None:
    answer = invoke(event(sent))
    (line,) = printed.lines()
    assert line["status"] == answer.status


def test_log_record_holds_nothing_of_the_invocation_before(ann: str, printed: Printed) -> None:
    # When
    ask("GET", "/api/sessions/current", token=ann)
    ask("GET", "/health")
    # Then
    first, second = printed.lines()
    assert (first["user"], first["storeRoundTrips"]) == ("ann", 2)
    assert "user" not in second
    assert (second["storeRoundTrips"], second["route"]) == (0, "/health")


SECRETS = ("correct horse", "battery staple", "a title nobody else may read", "4111111111111111")


@pytest.mark.usefixtures("users", "mail")
def test_no_password_token_or_body_is_ever_logged(
    mongodb: Mongo, admin: str, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    horse, staple, title, card = SECRETS
    new = {"username": "bob", "password": horse, "roles": ["user"]}
    question = {"username": "bob", "title": title, "data": {"card": card}, "wait": False}
    # When things go well
    assert ask("POST", "/api/users", new, token=admin).status == 201
    token = ask("POST", "/api/sessions", {"username": "bob", "password": horse}).json["token"]
    assert ask("POST", "/send-notification", question, token=admin).status == 202
    assert ask("PATCH", "/api/users/bob", {"password": staple}, token=admin).status == 200
    # and when they do not
    ask("POST", "/api/sessions", {"username": "bob", "password": horse})
    ask("POST", "/api/sessions", {"username": "bob", "password": [horse]})
    ask("POST", "/api/users", new | {"password": staple}, token=admin)
    ask("POST", "/send-notification", question | {"surprise": card}, token=admin)
    ask("POST", "/send-notification", text=json.dumps(question)[:-1], token=admin)
    ask("GET", "/api/sessions/current", token=token)
    # and when the stores themselves refuse
    monkeypatch.setattr(clients.table("users"), "name", "gone")
    mongodb.command("collMod", "approvals", validator={"status": "nothing"})
    try:
        assert ask("POST", "/api/users", new, token=admin).status == 500
        assert ask("PATCH", "/api/users/bob", {"password": staple}, token=admin).status == 500
        assert ask("POST", "/api/user-action", {"username": "bob", "action": "approve"}, token=admin).status == 500
    finally:
        mongodb.command("collMod", "approvals", validator={})
    # Then
    for secret in (*SECRETS, token, admin):
        assert secret not in printed.getvalue()


# --- what may stand under a path


def test_routes_of_chalice_and_of_the_application_are_the_same() -> None:
    known = {(method, path) for path, methods in app.routes.items() for method in methods}
    assert known == {(endpoint.method, endpoint.path) for endpoint in app.endpoints}


def test_an_event_with_no_headers_at_all_is_answered() -> None:
    sent = copy.deepcopy(event("health"))
    sent |= {"headers": None, "multiValueHeaders": None}
    assert invoke(sent).status == 200
