"""Callers who wait for an answer take a place each; all other calls need none, and nobody else's calls suffer."""

import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.approvals import wiring as approvals_wiring
from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.places import Places
from chalicelib.core.runtime.settings import WaitingSettings
from chalicelib.core.web.roles import Role
from chalicelib.users.store import UserStore
from tests.support.gateway import Answer, ask
from tests.support.users import signed_in
from tests.support.waiting import eventually

Mongo = Database[dict[str, Any]]
QUESTION = {"username": "ann", "timeoutMs": 20_000}


@pytest.fixture(autouse=True)
def places(mongodb: Mongo, mail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three places, two for each caller."""
    made = Places(mongodb.places, WaitingSettings(places=3, places_per_caller=2))
    monkeypatch.setattr(coordination_wiring, "places", lambda: made)


@pytest.fixture
def tokens(users: UserStore, mongodb: Mongo) -> dict[str, str]:
    roles = {"ann": Role.USER, "svc": Role.SERVICE, "other": Role.SERVICE, "third": Role.SERVICE}
    return {name: signed_in(name, role) for name, role in roles.items()}


@pytest.fixture
def greedy(tokens: dict[str, str], mongodb: Mongo) -> Iterator[None]:
    """The service svc waits as often as it may."""
    calls = [threading.Thread(target=put, args=(tokens["svc"],)) for _ in range(2)]
    for call in calls:
        call.start()
    eventually(lambda: mongodb.approvals.count_documents({}) == 2)
    yield
    mongodb.approvals.update_many({}, {"$set": {"status": "cancelled"}})
    for call in calls:
        call.join()


def put(token: str, **more: Any) -> Answer:
    return ask("POST", "/send-notification", QUESTION | more, token=token)


def read(request_id: str, token: str, wait_ms: int | None = None) -> Answer:
    query = {} if wait_ms is None else {"waitMs": str(wait_ms)}
    return ask("GET", f"/api/pending-responses/{request_id}", query=query, token=token)


@pytest.mark.usefixtures("greedy")
def test_question_beyond_the_share_of_its_caller_asks_nobody(tokens: dict[str, str], mongodb: Mongo) -> None:
    refused = put(tokens["svc"])
    assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
    assert refused.json["detail"].startswith("Too many callers wait just now.")
    assert mongodb.approvals.count_documents({}) == 2


@pytest.mark.usefixtures("greedy")
def test_calls_that_do_not_wait_need_no_place(tokens: dict[str, str], mongodb: Mongo) -> None:
    # Given all places taken
    assert coordination_wiring.places().take("anyone", 20_000)
    # Then
    made = put(tokens["other"], wait=False)
    assert made.status == 202
    assert read(made.json["requestId"], tokens["ann"]).json["status"] == "pending"
    assert put(tokens["svc"], wait=False).status == 202


@pytest.mark.usefixtures("greedy")
def test_long_poll_without_a_place_shows_the_request_at_once(tokens: dict[str, str]) -> None:
    request_id = put(tokens["svc"], wait=False).json["requestId"]
    began = monotonic()
    shown = read(request_id, tokens["svc"], 25_000)
    assert (shown.status, shown.json["status"]) == (200, "pending")
    assert monotonic() - began < 10


@pytest.mark.usefixtures("greedy")
def test_another_caller_still_waits_for_its_answer(tokens: dict[str, str], mongodb: Mongo) -> None:
    answers: list[Answer] = []
    other = threading.Thread(target=lambda: answers.append(put(tokens["other"])))
    other.start()
    eventually(lambda: mongodb.approvals.count_documents({"createdBy": "other"}) == 1)
    # Now no place is left for a third caller.
    assert put(tokens["third"]).status == 503
    mongodb.approvals.update_one({"createdBy": "other"}, {"$set": {"status": "cancelled"}})
    other.join()
    assert [answer.json["status"] for answer in answers] == ["cancelled"]


def test_place_is_free_after_a_wait_that_failed(
    tokens: dict[str, str], mongodb: Mongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise LookupError

    monkeypatch.setattr(approvals_wiring.waiter(), "wait", fail)
    assert put(tokens["svc"]).status == 500
    assert mongodb.places.find_one({}, {"_id": 0, "leases": 1}) == {"leases": []}


def test_settled_request_is_read_without_a_place(tokens: dict[str, str], mongodb: Mongo) -> None:
    request_id = put(tokens["svc"], wait=False).json["requestId"]
    mongodb.approvals.update_one({"_id": request_id}, {"$set": {"status": "cancelled"}})
    assert read(request_id, tokens["svc"], 25_000).json["status"] == "cancelled"
    assert mongodb.places.find_one() is None
