"""Approval requests over HTTP, and callers waiting for the answer."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import requests

from tests.support.client import Client, json_of
from tests.support.waiting import eventually

APPROVALS = "/api/pending-responses"


def request_path(request_id: str, verb: str = "") -> str:
    """Return the path of a request, or of an action on the request."""
    return f"{APPROVALS}/{request_id}/{verb}".rstrip("/")


def create_request(caller: Client, username: str, **fields: Any) -> str:
    """Create a request without waiting; return its id."""
    new = {"username": username, "wait": False, **fields}
    return str(json_of(caller.post("/send-notification", new), 202)["requestId"])


def read_request(caller: Client, request_id: str) -> dict[str, Any]:
    """Return the request in *caller*'s view."""
    found: dict[str, Any] = json_of(caller.get(request_path(request_id)))
    return found


def pending(caller: Client, username: str, count: int = 1) -> list[str]:
    """Return the ids of *username*'s pending requests, newest first, once there are *count*."""

    def listed() -> list[str]:
        page = json_of(caller.get(f"{APPROVALS}?status=pending&username={username}"))
        found = [item["requestId"] for item in page["items"]]
        return found if len(found) >= count else []

    return eventually(listed)


def await_timeout(caller: Client, username: str, request_id: str) -> None:
    """Wait for the timeout of *username*'s request. A list of pending requests persists no timeout."""
    path = f"{APPROVALS}?status=pending&username={username}"
    eventually(lambda: request_id not in {item["requestId"] for item in json_of(caller.get(path))["items"]})


@contextmanager
def waiting(call: Callable[[], requests.Response]) -> Iterator[Future[requests.Response]]:
    """Make *call* in a thread; yield the future of its answer."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(call)
