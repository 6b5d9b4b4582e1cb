"""A caller of the deployed API, and checks of the answers."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter

Found = TypeVar("Found")

#: Well above the longest way of a request through the proxy: ten seconds for a place, thirty for the answer. The
#: gateway itself has no such bound, and its processes start slowly on a machine under load.
DEADLINE_SECONDS = 120.0
#: Words that no answer may contain.
_INTERNALS = ("Traceback", "pymongo", "botocore", "mongod", 'File "', "127.0.0.1", "ServerSelection", "passwordHash")


class Client:
    """A caller: a URL, perhaps a token. Safe to share between threads."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url, self.token = url, token
        self._session = requests.Session()
        self._session.mount("http://", HTTPAdapter(pool_maxsize=64))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> requests.Response:
        """Return the answer of any status. *body* is encoded as JSON; *raw* is sent unchanged as JSON."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None or raw is not None:
            sent["Content-Type"] = "application/json"
        return self._session.request(
            method,
            self.url + path,
            data=json.dumps(body) if body is not None else raw,
            headers={**sent, **(headers or {})},
            timeout=deadline_seconds,
            allow_redirects=False,
        )

    def get(self, path: str, **options: Any) -> requests.Response:
        """Call *path* with GET."""
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Call *path* with POST."""
        return self.call("POST", path, body, **options)

    def delete(self, path: str) -> requests.Response:
        """Call *path* with DELETE."""
        return self.call("DELETE", path)

    def at(self, url: str) -> "Client":
        """Return the same caller at another URL of the API."""
        return Client(url, self.token)

    def signed_in(self, username: str, password: str) -> "Client":
        """Open a session, patiently, and return a caller with its token."""
        body = {"username": username, "password": password}
        opened = json_of(patiently(lambda: self.post("/api/sessions", body)), 201)
        return Client(self.url, opened["token"])


@dataclass(frozen=True)
class Person:
    """A user, the password, and a caller with a session of the user."""

    username: str
    password: str
    client: Client


def json_of(response: requests.Response, status: int = 200) -> Any:
    """Return the JSON of an answer; fail unless the answer has *status* and the common headers."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["X-Request-Id"]
    assert response.headers["X-Instance-Id"]
    assert response.headers["Content-Type"] == "application/json"
    return response.json()


def problem_of(response: requests.Response, status: int) -> dict[str, Any]:
    """Return the problem of an answer; fail unless it is well-formed, has *status* and reveals no internals."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["Content-Type"].partition(";")[0] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert {"type", "code", "title", "status", "detail", "requestId"} <= set(problem)
    assert problem["type"] == f"/problems/{problem['code']}"
    assert problem["status"] == status
    assert problem["requestId"]
    assert ("errors" in problem) == (status == 422)
    assert all(set(error) == {"path", "message"} for error in problem.get("errors", []))
    leaked = [word for word in _INTERNALS if word in response.text]
    assert not leaked
    if status == 503:
        assert int(response.headers["Retry-After"]) > 0
    if status == 401:
        assert response.headers["WWW-Authenticate"] == "Bearer"
    return problem


def patiently(call: Callable[[], requests.Response], deadline_seconds: float = 240.0) -> requests.Response:
    """Repeat *call* as a careful caller does: after a 503, once Retry-After has passed; return any other answer.

    A proxy under load refuses a request that finds no place in time; nothing of the request was done.
    """
    deadline = time.monotonic() + deadline_seconds
    while (answer := call()).status_code == HTTPStatus.SERVICE_UNAVAILABLE and time.monotonic() < deadline:
        time.sleep(int(answer.headers["Retry-After"]))
    return answer


def at_once(calls: Sequence[Callable[[], Found]]) -> list[Found]:
    """Make all *calls* at the same moment; return the results in order."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Found]) -> Found:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
