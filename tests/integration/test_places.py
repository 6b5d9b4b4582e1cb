"""One caller who waits as often as it may stops nobody else, on functions behind the gateway."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from time import monotonic

import pytest
import requests

from infra.local.stack import Stack
from tests.support.approvals import create_request, pending, read_request, request_path, waiting
from tests.support.client import Client, Person, json_of, problem_of
from tests.support.stack import NewPerson, configured

pytestmark = pytest.mark.stack

#: Fewer than by default: each waiting caller is a process here.
_SHARE = 3


@pytest.fixture(scope="module", autouse=True)
def share(stack: Stack) -> Iterator[None]:
    """A caller has three places, as the option says."""
    with configured(stack, "api", WAITING_PLACES_PER_CALLER=str(_SHARE)):
        yield


@pytest.fixture
def greedy(admin: Client, person: NewPerson) -> Iterator[Person]:
    """A service that holds every place it can get, and asks for more."""
    service, watched = person("service"), person()
    with ThreadPoolExecutor(_SHARE) as threads:
        question = {"username": watched.username, "timeoutMs": 25_000}
        calls = [threads.submit(service.client.post, "/send-notification", question) for _ in range(_SHARE)]
        held = pending(admin, watched.username, count=_SHARE)
        problem_of(service.client.post("/send-notification", question), 503)
        yield service
        for request_id in held:
            admin.post(request_path(request_id, "cancel"))
        # On a busy machine time may be up first.
        assert {_status(call) for call in calls} <= {"cancelled", "timeout"}


def _status(call: Future[requests.Response]) -> str:
    return str(json_of(call.result())["status"])


def test_greedy_caller_keeps_no_call_from_another(greedy: Person, admin: Client, person: NewPerson) -> None:
    # Given a caller who holds every place it can get
    other, answering = person("service"), person()
    # Then another one reads, asks without waiting, and waits for an answer
    request_id = create_request(other.client, answering.username)
    began = monotonic()
    assert read_request(other.client, request_id)["status"] == "pending"
    assert monotonic() - began < 5
    json_of(answering.client.post(request_path(request_id, "resolve"), {"action": "approve"}))
    with waiting(partial(other.client.post, "/send-notification", {"username": answering.username})) as call:
        (waited_for,) = pending(answering.client, answering.username)
        json_of(answering.client.post(request_path(waited_for, "resolve"), {"action": "approve"}))
        assert json_of(call.result(timeout=10))["action"] == "approve"


def test_greedy_caller_still_reads_and_asks_without_waiting(greedy: Person, person: NewPerson) -> None:
    request_id = create_request(greedy.client, person().username)
    began = monotonic()
    assert json_of(greedy.client.get(request_path(request_id) + "?waitMs=25000"))["status"] == "pending"
    assert monotonic() - began < 10


def test_places_are_free_again_after_the_waits(admin: Client, person: NewPerson) -> None:
    service, username = person("service"), person().username
    for _ in range(2):
        with ThreadPoolExecutor(_SHARE) as threads:
            question = {"username": username, "timeoutMs": 25_000}
            calls = [threads.submit(service.client.post, "/send-notification", question) for _ in range(_SHARE)]
            for request_id in pending(admin, username, count=_SHARE):
                json_of(admin.post(request_path(request_id, "cancel")))
            assert {_status(call) for call in calls} == {"cancelled"}
