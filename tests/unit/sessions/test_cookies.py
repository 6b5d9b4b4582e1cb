"""Sessions in a browser's cookie: out of reach of scripts, and useless to pages of other sites."""

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.web.roles import Role
from chalicelib.users import passwords
from chalicelib.users.store import UserStore
from tests.support.gateway import Answer, ask, event

Mongo = Database[dict[str, Any]]

PAIR = {"username": "ann", "password": "correct horse", "cookie": True}
HOST = event("health")["headers"]["Host"]
ISSUE = "/api/sessions/current/ticket"


@pytest.fixture
def ann(users: UserStore, mongodb: Mongo) -> str:
    """Sign in, and return the browser's cookie."""
    users.add("ann", passwords.hashed("correct horse"), [Role.ADMIN])
    cookie, _, _ = ask("POST", "/api/sessions", PAIR).headers["Set-Cookie"].partition(";")
    return cookie


def by_cookie(method: str, path: str, cookie: str, origin: str | None = None, **sent: Any) -> Answer:
    headers = {"Cookie": f"theme=dark; {cookie}; other=1"} | ({"Origin": origin} if origin is not None else {})
    return ask(method, path, headers=headers, **sent)


def attributes(answer: Answer) -> tuple[str, set[str]]:
    first, *others = answer.headers["Set-Cookie"].split("; ")
    return first, set(others)


def test_a_cookie_is_set_only_on_request(ann: str) -> None:
    with_one, without = ask("POST", "/api/sessions", PAIR), ask("POST", "/api/sessions", {**PAIR, "cookie": False})
    assert (with_one.status, without.status, "Set-Cookie" in without.headers) == (201, 201, False)
    name, others = attributes(with_one)
    assert name == f"__Host-holdfast={with_one.json['token']}"
    assert others == {"Path=/", "HttpOnly", "SameSite=Strict", "Secure"}


def test_a_cookie_works_on_plain_http_where_a_setting_says_so(ann: str, options: Callable[..., None]) -> None:
    options(SESSIONS_COOKIE_SECURE="false")
    name, others = attributes(ask("POST", "/api/sessions", PAIR))
    assert others == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert name.startswith("holdfast=")
    assert by_cookie("GET", "/api/sessions/current", name).status == 200
    assert by_cookie("POST", ISSUE, name, f"http://{HOST}").status == 201
    assert by_cookie("POST", ISSUE, name, "http://evil.example.com").status == 403


def test_a_cookie_may_read_from_a_page_of_any_origin(ann: str) -> None:
    for origin in (None, "https://evil.example.com"):
        assert by_cookie("GET", "/api/sessions/current", ann, origin).json["username"] == "ann"


def test_a_page_of_the_same_origin_may_write_by_cookie(ann: str) -> None:
    # The stage stands in the path and not in the origin.
    assert event("health")["requestContext"]["stage"]
    assert by_cookie("POST", ISSUE, ann, f"https://{HOST}").status == 201
    assert by_cookie("POST", ISSUE, ann, f"HTTPS://{HOST.upper()}").status == 201


@pytest.mark.parametrize(
    "origin",
    [
        *(None, "", "null", HOST, "https://evil.example.com", f"https://{HOST}.evil.example.com"),
        *(f"https://evil.{HOST}", f"http://{HOST}", f"https://{HOST}:8443", f"https://user@{HOST}"),
        f"https://evil.example.com/{HOST}",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", ISSUE), ("DELETE", "/api/sessions/current")])
def test_a_page_of_another_origin_may_not_write_by_cookie(ann: str, origin: str | None, method: str, path: str) -> None:
    assert by_cookie(method, path, ann, origin).status == 403
    assert by_cookie("GET", "/api/sessions/current", ann).status == 200


def test_a_page_of_an_allowed_origin_may_write_by_cookie(ann: str, options: Callable[..., None]) -> None:
    options(HTTP_ALLOWED_ORIGINS='["https://console.example.com"]')
    assert by_cookie("POST", ISSUE, ann, "https://console.example.com").status == 201
    assert by_cookie("POST", ISSUE, ann, "https://other.example.com").status == 403


def test_a_wildcard_origin_does_not_allow_writes_by_cookie(ann: str, options: Callable[..., None]) -> None:
    options(HTTP_ALLOWED_ORIGINS='["*"]')
    assert by_cookie("POST", ISSUE, ann, "https://evil.example.com").status == 403
    assert by_cookie("POST", ISSUE, ann, "*").status == 403


def test_a_token_in_a_header_needs_no_origin_and_beats_a_cookie(ann: str) -> None:
    token = ann.partition("=")[2]
    assert ask("POST", ISSUE, token=token, headers={"Origin": "https://evil.example.com"}).status == 201
    assert by_cookie("POST", ISSUE, "__Host-holdfast=wrong", token=token).status == 201
    assert by_cookie("GET", "/api/sessions/current", ann, token="wrong").status == 401


@pytest.mark.parametrize("cookie", ["__Host-holdfast=", "__Host-holdfast", "holdfast={}", "x__Host-holdfast={}"])
def test_a_cookie_of_another_name_is_no_session(ann: str, cookie: str) -> None:
    sent = cookie.format(ann.partition("=")[2])
    assert by_cookie("GET", "/api/sessions/current", sent).status == 401


def test_signing_out_clears_the_cookie(ann: str) -> None:
    gone = by_cookie("DELETE", "/api/sessions/current", ann, f"https://{HOST}")
    assert gone.status == 204
    name, others = attributes(gone)
    assert name == "__Host-holdfast="
    assert others == {"Max-Age=0", "Path=/", "HttpOnly", "SameSite=Strict", "Secure"}
    assert by_cookie("GET", "/api/sessions/current", ann).status == 401


@pytest.mark.parametrize(("allowed", "credentials"), [('["https://console.example.com"]', "true"), ('["*"]', None)])
def test_credentials_are_allowed_for_named_origins_alone(
    ann: str, options: Callable[..., None], allowed: str, credentials: str | None
) -> None:
    options(HTTP_ALLOWED_ORIGINS=allowed)
    answer = by_cookie("GET", "/api/sessions/current", ann, "https://console.example.com")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://console.example.com"
    assert answer.headers.get("Access-Control-Allow-Credentials") == credentials
