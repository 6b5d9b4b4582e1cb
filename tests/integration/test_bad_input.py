"""Malformed input: each kind gets its documented answer, and no answer shows internals."""

import http.client
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import requests

from infra.local.stack import Stack
from tests.support.approvals import APPROVALS, create_request, read_request, request_path
from tests.support.client import Client, json_of, problem_of
from tests.support.stack import PASSWORD, NewPerson

pytestmark = pytest.mark.stack

ASK = "/send-notification"
MEGABYTE = 1_000_000


class Raw(NamedTuple):
    """A body as bytes, and the expected status."""

    name: str
    body: bytes
    status: int


NOT_JSON = [
    Raw("empty", b"", 400),
    Raw("spaces", b"   ", 400),
    Raw("words", b"username=ann", 400),
    Raw("half an object", b'{"username": "ann"', 400),
    Raw("two objects", b"{}{}", 400),
    Raw("single quotes", b"{'username': 'ann'}", 400),
    Raw("a trailing comma", b'{"username": "ann",}', 400),
    Raw("a lone surrogate", rb'{"username": "\ud800"}', 400),
    Raw("a lone surrogate in a key", rb'{"\udfff": 1}', 400),
    Raw("a raw control character", b'{"username": "a\x01"}', 400),
    Raw("no characters at all", b"\xff\xfe\x00", 400),
    Raw("UTF-16", '{"username": "ann"}'.encode("utf-16"), 400),
    Raw("a byte order mark", b"\xef\xbb\xbf{}", 400),
    Raw("too deep to read", b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    Raw("a number of 10,000 digits", b'{"data": {"n": ' + b"9" * 10_000 + b"}}", 400),
]
NOT_AN_OBJECT = [
    Raw("null", b"null", 422),
    Raw("a list", b'[{"username": "ann"}]', 422),
    Raw("a text", b'"ann"', 422),
    Raw("a number", b"1e400", 422),
]


@pytest.mark.parametrize("raw", NOT_JSON + NOT_AN_OBJECT, ids=lambda raw: raw.name.replace(" ", "-"))
def test_a_body_that_is_no_json_object_is_refused(admin: Client, raw: Raw) -> None:
    for method, path in (("POST", ASK), ("POST", "/api/users"), ("PATCH", "/api/users/admin")):
        problem_of(admin.call(method, path, raw=raw.body), raw.status)


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"username": None}, "username"),
        ({"username": 1}, "username"),
        ({"username": ["ann"]}, "username"),
        ({"username": {"$where": "sleep(9999)"}}, "username"),
        ({"username": {"$ne": None}}, "username"),
        ({"username": ""}, "username"),
        ({"username": "$where"}, "username"),
        ({"username": "ann\u0000"}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": "\U0001f600"}, "username"),
        ({"username": "x" * 10_000}, "username"),
        ({"title": 1}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"body": "x" * 10_001}, "body"),
        ({"data": "text"}, "data"),
        ({"data": []}, "data"),
        ({"actions": []}, "actions"),
        ({"actions": "approve"}, "actions"),
        ({"actions": ["a", "a"]}, "actions"),
        ({"actions": ["timeout"]}, "actions"),
        ({"actions": [""]}, "actions.0"),
        ({"actions": ["x" * 65]}, "actions.0"),
        ({"actions": [str(number) for number in range(21)]}, "actions"),
        ({"actions": ["yes", {"$ne": 1}]}, "actions.1"),
        ({"wait": "false"}, "wait"),
        ({"wait": 0}, "wait"),
        ({"timeoutMs": 0}, "timeoutMs"),
        ({"timeoutMs": -1}, "timeoutMs"),
        ({"timeoutMs": 999}, "timeoutMs"),
        ({"timeoutMs": 10**9}, "timeoutMs"),
        ({"timeoutMs": 10**30}, "timeoutMs"),
        ({"timeoutMs": 25_001, "wait": True}, "timeoutMs"),
        ({"timeoutMs": 1000.5}, "timeoutMs"),
        ({"timeoutMs": "1000"}, "timeoutMs"),
        ({"timeoutMs": True}, "timeoutMs"),
        ({"timeoutMs": None}, "timeoutMs"),
        ({"requestId": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "requestId"),
        ({"status": "resolved"}, "status"),
        ({"timeout_ms": 1000}, "timeout_ms"),
        ({"$where": "1"}, "$where"),
        ({"data.x": 1}, "data.x"),
        ({"__proto__": {}}, "__proto__"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "",
)
def test_a_wrong_field_is_named(admin: Client, fields: dict[str, Any], at: str) -> None:
    problem = problem_of(admin.post(ASK, {"username": "admin", "wait": False} | fields), 422)
    assert at in {error["path"] for error in problem["errors"]}


def test_all_wrong_fields_are_named_at_once_without_their_values(admin: Client) -> None:
    secret = "a password that must not come back" * 10
    answer = admin.post("/api/users", {"username": "$", "password": secret, "roles": ["king"], "more": secret})
    problem = problem_of(answer, 422)
    assert {error["path"] for error in problem["errors"]} == {"username", "password", "roles.0", "more"}
    assert "must not come back" not in answer.text


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity"])
def test_a_number_beyond_double_range_is_refused(admin: Client, number: str) -> None:
    for field in (f'"data": {{"n": [{number}]}}', f'"timeoutMs": {number}'):
        problem_of(admin.post(ASK, raw=f'{{"username": "admin", "wait": false, {field}}}'.encode()), 422)


@pytest.mark.parametrize(
    "login",
    [
        {},
        {"username": "admin"},
        {"username": {"$ne": None}, "password": {"$ne": None}},
        {"username": "admin", "password": ["x"]},
        {"username": "admin", "password": ""},
        {"username": "admin", "password": "x" * 257},
        {"username": "x" * 10_000, "password": PASSWORD},
        {"username": "admin\u0000", "password": PASSWORD},
        {"username": "admin", "password": PASSWORD, "roles": ["admin"]},
    ],
    ids=lambda login: json.dumps(login)[:40],
)
def test_a_malformed_login_is_422(stack: Stack, login: dict[str, Any]) -> None:
    problem_of(Client(stack.url).post("/api/sessions", login), 422)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/problem+json", ""]
)
def test_a_body_of_another_content_type_is_415(admin: Client, content_type: str) -> None:
    problem_of(admin.post(ASK, {"username": "admin", "wait": False}, headers={"Content-Type": content_type}), 415)


def test_a_content_type_in_other_case_with_charset_is_accepted(admin: Client) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    json_of(admin.post(ASK, {"username": "admin", "wait": False}, headers=headers), 202)


# Sizes.


def _padded(size_bytes: int) -> bytes:
    return b'{"username": "admin", "wait": false}'.ljust(size_bytes)


def test_a_body_over_one_megabyte_is_413(admin: Client) -> None:
    json_of(admin.post(ASK, raw=_padded(MEGABYTE)), 202)
    problem_of(admin.post(ASK, raw=_padded(MEGABYTE + 1)), 413)


@pytest.mark.parametrize("size_bytes", [6 * MEGABYTE, 6 * 1024 * 1024])
def test_a_body_of_six_megabytes_is_too_large(admin: Client, size_bytes: int) -> None:
    problem_of(admin.post(ASK, raw=_padded(size_bytes)), 413)
    # The size is checked before content and caller.
    problem_of(Client(admin.url).post(ASK, raw=b"\xff" * size_bytes), 413)


def test_the_limit_counts_bytes_and_not_characters(admin: Client) -> None:
    text = "\u20ac" * (MEGABYTE // 3)
    body = json.dumps({"username": "admin", "wait": False, "data": {"text": text}}, ensure_ascii=False).encode()
    assert len(body) > MEGABYTE
    problem_of(admin.post(ASK, raw=body), 413)


# Tokens.


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer  ",
        b"Basic YWRtaW46YWRtaW4=",
        b"Token {token}",
        b"{token}",
        b"Bearer {token} more",
        b"Bearer {token}, Bearer {token}",
        b"Bearer \xe9\xff",
        b"Bearer null",
        b"Bearer " + b"x" * 7000,
        b"Bearer 0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
    ],
    ids=lambda given: given[:24].decode("latin1"),
)
def test_a_malformed_authorization_header_is_401(stack: Stack, admin: Client, given: bytes) -> None:
    headers = {"Authorization": given.replace(b"{token}", (admin.token or "").encode())}
    problem_of(Client(stack.url).get("/api/sessions/current", headers=headers), 401)


def test_the_scheme_bearer_is_accepted_in_any_case(stack: Stack, admin: Client) -> None:
    json_of(Client(stack.url).get("/api/sessions/current", headers={"Authorization": f"bEARER {admin.token}"}))


def test_an_altered_token_is_401(stack: Stack, admin: Client) -> None:
    token = admin.token or ""
    for foreign in (token[:-1], token + "A", token.swapcase(), token[::-1]):
        problem_of(Client(stack.url, foreign).get("/api/sessions/current"), 401)


# Queries.


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=many", "limit"),
        ("limit=", "limit"),
        ("limit=1e1", "limit"),
        ("limit=%FF", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("status=open", "status"),
        ("status[$ne]=pending", "status[$ne]"),
        ("status=%24ne", "status"),
        ("username=%00", "username"),
        ("username=%24where", "username"),
        ("username=" + "x" * 5000, "username"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=eyJ9.AAAA", "cursor"),
        ("cursor=" + "x" * 5000, "cursor"),
        ("waitMs=1", "waitMs"),
        ("=", ""),
        ("%00=1", "\u0000"),
    ],
    ids=lambda value: value[:24].replace("\u0000", "NUL"),
)
def test_a_wrong_query_parameter_is_named(admin: Client, query: str, at: str) -> None:
    problem = problem_of(admin.get(f"{APPROVALS}?{query}"), 422)
    assert [error["path"] for error in problem["errors"]] == [at]


@pytest.mark.parametrize("wait_ms", ["-1", "25001", "1000000000", "1.5", "soon", "", "1e3", "9" * 400])
def test_a_wrong_wait_is_named(admin: Client, wait_ms: str) -> None:
    request_id = create_request(admin, "admin")
    problem = problem_of(admin.get(f"{request_path(request_id)}?waitMs={wait_ms}"), 422)
    assert [error["path"] for error in problem["errors"]] == ["waitMs"]


# Paths.

GARBAGE = [
    "x",
    "%00",
    "%FF",
    "%",
    "%zz",
    "..",
    "..%2f..",
    "a%2Fb",
    "%2E%2E",
    "%E2%82%AC",
    "%F0%9F%98%80",
    "%24where",
    "%7B%22%24ne%22%3A1%7D",
    "01ARZ3NDEKTSV4RRFFQ69G5FA",
    "01ARZ3NDEKTSV4RRFFQ69G5FAVV",
    "01arz3ndektsv4rrffq69g5fav",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV%0A",
    "%2001ARZ3NDEKTSV4RRFFQ69G5FAV",
    "01ARZ3NDEKTSV4RRFFQ69G5FAU",
    ";",
    "x" * 6000,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda text: text[:30])
def test_a_malformed_path_parameter_is_404(admin: Client, garbage: str) -> None:
    for method, path in (
        ("GET", f"{APPROVALS}/{garbage}"),
        ("POST", f"{APPROVALS}/{garbage}/cancel"),
        ("DELETE", f"/api/sessions/{garbage}"),
    ):
        _unread(admin, method, path)


def _unread(client: Client, method: str, path: str) -> None:
    """Send *path* verbatim, unlike any client library, and expect a 404 problem."""
    where = urlsplit(client.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=False)
        connection.putheader("Authorization", f"Bearer {client.token}")
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    assert answer.status == 404, (answer.status, body[:300])
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(body)
    assert (problem["status"], bool(problem["requestId"])) == (404, True)


# Stored data.


@pytest.mark.parametrize(
    "data",
    [
        {"$where": "sleep(9999)", "a.b": {"$gt": ""}, "$$NOW": "$$ROOT", "": {"": []}},
        {"\u0000": "\u0000", "nul\u0000": 1},
        {"\U0001f600": "\u202e\ufeff", "a": "e\u0301"},
        {"whole": 2**63, "more": -(10**30), "half": 0.1, "small": 5e-324, "none": None, "no": False},
        {"deep": json.loads("[" * 150 + "]" * 150)},
        {"constructor": 1, "_id": 2, "purgeAt": 3, "status": "resolved"},
    ],
    ids=["operators", "nul", "unicode", "numbers", "deep", "our own names"],
)
def test_data_with_awkward_keys_and_values_reads_back_unchanged(admin: Client, data: dict[str, Any]) -> None:
    assert read_request(admin, create_request(admin, "admin", data=data))["data"] == data


# Identifiers of the request itself.


@pytest.mark.parametrize(
    ("sent", "kept"), [("my-id_1.2", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("{}", False)]
)
def test_a_callers_request_id_is_kept_if_well_formed(admin: Client, sent: str, kept: bool) -> None:
    answer = admin.get(f"{APPROVALS}/x", headers={"X-Request-Id": sent})
    problem = problem_of(answer, 404)
    assert (answer.headers["X-Request-Id"] == sent) is kept
    assert problem["requestId"] == answer.headers["X-Request-Id"]


def _headers(answer: requests.Response) -> Mapping[str, str]:
    return answer.headers


def test_an_answer_is_never_cached(admin: Client, person: NewPerson) -> None:
    for answer in (admin.get("/api/users"), admin.get(f"{APPROVALS}/x"), admin.get("/health")):
        assert _headers(answer)["Cache-Control"] == "no-store"
