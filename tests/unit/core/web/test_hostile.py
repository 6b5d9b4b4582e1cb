"""Texts that parsers of dates, URLs, headers and queries trip over: a caller's text is never a 5xx."""

import string
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pymongo.database import Database

from app import app
from chalicelib.core import egress
from chalicelib.core.egress import urls
from chalicelib.core.egress.retries import retry_after_seconds
from chalicelib.core.models import Instant
from chalicelib.core.web.roles import Role
from chalicelib.users.store import UserStore
from tests.support.gateway import Answer, ask, event
from tests.support.users import UNUSABLE, signed_in

Mongo = Database[dict[str, Any]]

HOST = event("health")["headers"]["Host"]
KEYS = "/api/users/batch/keys"
#: Characters with a meaning to some parser, more often than chance would draw them.
TEXTS = st.text(st.sampled_from(string.printable + "é€\U0001f600\x00\u2212\u0660")) | st.text(
    st.characters(exclude_categories=["Cs"])
)
DIGITS = st.text(string.digits + "-:TZ+. ", min_size=1, max_size=35)
URLS = st.builds("{}://{}{}".format, st.sampled_from(["http", "https", "ws", ""]), TEXTS, TEXTS)
HEADERS = [
    *("Accept", "Authorization", "Content-Type", "Cookie", "Host", "Idempotency-Key", "If-Match", "If-None-Match"),
    *("Origin", "X-Forwarded-For", "X-Request-Id", "Access-Control-Request-Method"),
]
ROUTES = sorted({(endpoint.method, endpoint.path) for endpoint in app.endpoints})
QUERIES = sorted(
    (endpoint.path, name)
    for endpoint in app.endpoints
    if endpoint.method == "GET" and endpoint.query
    for name in endpoint.query.model_json_schema(by_alias=True)["properties"]
    if name != "waitMs"
)

shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
few = settings(shared, max_examples=20)


class Dated(BaseModel):
    at: Instant


@pytest.fixture
def admin(dynamodb: Any, mongodb: Mongo, users: UserStore) -> str:
    users.add("batch", UNUSABLE, [Role.SERVICE])
    return signed_in("root", Role.ADMIN)


def fine(answer: Answer) -> None:
    assert answer.status < 500, answer.text


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59-01:00", "9999-12-31T23:00:00-23:59", "0001-01-01T00:00:00+01:00"]
)
def test_time_at_the_ends_of_the_calendar_is_invalid(admin: str, text: str) -> None:
    answer = ask("POST", KEYS, {"name": "nightly", "expiresAt": text}, token=admin)
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "expiresAt")


@pytest.mark.parametrize(
    "text",
    [
        *("20300101000000", "1893456000", "+1893456000", "1893456000.5", "-1", "2030-01-01", "2030-01-01 00:00:00Z"),
        *("2030-01-01_00:00:00Z", "2030-01-01T00:00:00", "2030-01-01T00:00:00\u221201:00", "20300101T000000Z", ""),
    ],
)
def test_text_that_is_no_iso_8601_time_is_invalid(admin: str, text: str) -> None:
    answer = ask("POST", KEYS, {"name": "nightly", "expiresAt": text}, token=admin)
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "expiresAt")


def test_time_with_another_offset_is_answered_in_utc(admin: str) -> None:
    for text in ("2130-01-01T01:00:00+01:00", "2130-01-01T00:00Z", "2129-12-31t23:00:00.000-0100"):
        answer = ask("POST", KEYS, {"name": "nightly", "expiresAt": text}, token=admin)
        assert (answer.status, answer.json["expiresAt"]) == (201, "2130-01-01T00:00:00Z")


@given(text=TEXTS | DIGITS | st.datetimes(timezones=st.timezones()).map(str))
def test_a_time_is_read_in_utc_or_refused(text: str) -> None:
    try:
        read = Dated.model_validate({"at": text})
    except ValueError:
        return
    assert read.model_dump_json().endswith('Z"}')
    assert "T" in text.upper()


@given(url=TEXTS | URLS)
@example("http://[::1")
@example("http://a:" + "9" * 5000)
def test_a_url_is_parsed_or_refused(url: str) -> None:
    try:
        urls.parse(url)
    except egress.AddressRefused:
        return


@given(header=TEXTS | DIGITS)
def test_any_retry_after_gives_a_pause(header: str) -> None:
    assert 1 <= retry_after_seconds(header, 5.0, shortest=1, longest=60) <= 60


@pytest.mark.parametrize("origin", ["http://[::1", "https://[", "https://]", "https://[::1]:x", "https://a\u2100b"])
def test_an_origin_that_no_parser_reads_is_403(origin: str, admin: str) -> None:
    headers = {"Cookie": f"__Host-holdfast={admin}", "Origin": origin}
    assert ask("POST", "/api/sessions/current/ticket", headers=headers).status == 403


@shared
@given(name=st.sampled_from(HEADERS), value=TEXTS | URLS | DIGITS, route=st.sampled_from(ROUTES))
def test_any_header_of_a_caller_without_session_is_read_or_refused(
    admin: str, name: str, value: str, route: tuple[str, str]
) -> None:
    method, path = route
    if path != "/ready":
        fine(ask(method, path.replace("{", "").replace("}", ""), text="{}", headers={name: value}))


@shared
@given(name=st.sampled_from([name for name in HEADERS if name != "Authorization"]), value=TEXTS | URLS | DIGITS)
def test_any_header_of_a_signed_in_caller_is_read_or_refused(admin: str, name: str, value: str) -> None:
    cookie = {"Cookie": f"__Host-holdfast={admin}", "Origin": f"https://{HOST}"}
    fine(ask("POST", "/api/sessions/current/ticket", headers=cookie | {name: value}))
    fine(ask("PUT", "/api/applications/none", {"termMonths": 3}, token=admin, headers={name: value}))


@pytest.mark.parametrize(("path", "name"), QUERIES)
@few
@given(value=TEXTS | DIGITS | st.integers().map(str))
def test_any_query_is_read_or_refused(admin: str, path: str, name: str, value: str) -> None:
    path = path.replace("{username}", "batch").replace("{", "").replace("}", "")
    fine(ask("GET", path, token=admin, query={name: value}))


@shared
@given(path=st.sampled_from(sorted({path for _, path in ROUTES if "{" in path})), value=TEXTS.filter(bool))
def test_any_parameter_of_a_path_is_read_or_refused(admin: str, path: str, value: str) -> None:
    written = value.replace("/", "")
    if written:
        names = {name for _, name, _, _ in string.Formatter().parse(path) if name}
        fine(ask("GET", path.format_map(dict.fromkeys(names, written)), token=admin))
