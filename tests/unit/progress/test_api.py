"""Progress over HTTP: writes of jobs elsewhere, polls, long polls and lists."""

import threading
from typing import Any

import pytest

from chalicelib import progress
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.web.roles import Role
from tests.support.gateway import Answer, ask
from tests.support.users import signed_in
from tests.unit.progress.build import ANN

pytestmark = pytest.mark.usefixtures("store", "users")


@pytest.fixture
def service() -> str:
    return signed_in("crm", Role.SERVICE)


def put(token: str, body: dict[str, Any], *, key: str | None = None) -> Answer:
    return ask("PUT", "/api/progress/job", body, token=token, headers={"Idempotency-Key": key} if key else None)


def show(token: str, **query: str) -> Answer:
    return ask("GET", "/activation/progress/job", token=token, query=query or None)


def test_the_first_write_makes_a_progress_at_revision_1(service: str) -> None:
    answer = put(service, {"total": 10, "activated": 3, "type": "import", "msg": "Reading."})
    assert (answer.status, answer.json["success"]) == (200, True)
    data = answer.json["data"]
    assert {
        "sessionId": "job",
        "total": 10,
        "activated": 3,
        "type": "import",
        "msg": "Reading.",
    }.items() <= data.items()
    assert (data["revision"], data["percentage"], data["completed"]) == (1, 30.0, False)
    assert show(service).json == answer.json


def test_absent_fields_of_a_write_stay(service: str) -> None:
    put(service, {"total": 10, "activated": 3, "msg": "Reading."})
    data = put(service, {"failed": 1}).json["data"]
    assert (data["activated"], data["failed"], data["msg"], data["revision"]) == (3, 1, "Reading.", 2)


def test_a_write_of_another_account_is_403(service: str) -> None:
    put(service, {"total": 10})
    other = put(signed_in("other", Role.SERVICE), {"total": 1})
    assert (other.status, other.json["code"]) == (403, "not-yours")
    assert put(signed_in("root", Role.ADMIN), {"msg": "Stuck."}).json["data"]["total"] == 10


def test_a_write_of_an_activations_progress_is_409(service: str) -> None:
    progress.begin("job", ANN, "activation", 3)
    answer = put(signed_in("root", Role.ADMIN), {"activated": 3})
    assert (answer.status, answer.json["code"]) == (409, "progress-written-here")
    assert put(service, {"activated": 3}).status == 403


def test_a_write_at_an_old_revision_is_409_with_the_current_one(service: str) -> None:
    assert put(service, {"total": 10, "revision": 0}).status == 200
    assert put(service, {"activated": 1, "revision": 1}).status == 200
    answer = put(service, {"activated": 2, "revision": 1})
    assert (answer.status, answer.json["code"], answer.json["currentRevision"]) == (409, "revision-conflict", 2)
    assert show(service).json["data"]["activated"] == 1


def test_a_write_at_a_revision_of_an_unknown_progress_is_404(service: str) -> None:
    assert put(service, {"total": 10, "revision": 3}).status == 404


def test_increments_add_up_and_a_repeat_of_a_key_adds_nothing(service: str) -> None:
    put(service, {"total": 10})
    first = put(service, {"increments": {"activated": 2}}, key="a")
    assert put(service, {"increments": {"activated": 2}}, key="a").json == first.json
    assert put(service, {"increments": {"activated": 2}}, key="b").json["data"]["activated"] == 4


def test_a_key_of_another_write_is_422(service: str) -> None:
    put(service, {"increments": {"activated": 2}}, key="a")
    answer = put(service, {"increments": {"activated": 3}}, key="a")
    assert (answer.status, answer.json["code"]) == (422, "idempotency-key-reused")
    assert show(service).json["data"]["activated"] == 2


def test_the_last_increment_may_be_repeated_after_completion(service: str) -> None:
    put(service, {"total": 2})
    last = put(service, {"increments": {"activated": 2}}, key="a")
    assert last.json["data"]["completed"] is True
    assert put(service, {"increments": {"activated": 2}}, key="a").json == last.json
    assert put(service, {"activated": 1}).json["code"] == "progress-completed"


@pytest.mark.parametrize(
    "body",
    [
        {"increments": {"activated": 1}},
        {"increments": {"activated": 1}, "activated": 1},
        {"activated": -1},
        {"total": 1.5},
        {"unknown": 1},
        {"msg": "x" * 501},
    ],
)
def test_a_write_with_invalid_fields_is_422(service: str, body: dict[str, Any]) -> None:
    assert put(service, body).status == 422
    assert show(service).status == 404


def test_concurrent_first_writes_make_one_progress(service: str) -> None:
    threads = [
        threading.Thread(target=put, args=(service, {"increments": {"activated": 1}}), kwargs={"key": str(number)})
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = show(service).json["data"]
    assert (data["activated"], data["revision"]) == (8, 8)


def test_a_progress_is_for_its_owner_and_administrators(service: str) -> None:
    put(service, {"total": 10})
    assert show(signed_in("eve", Role.OFFICER)).status == 403
    assert show(signed_in("root", Role.ADMIN)).status == 200


def test_a_list_shows_own_jobs_and_administrators_all(service: str) -> None:
    put(service, {"total": 10})
    officer = signed_in("olga", Role.OFFICER)
    ids = [
        [item["sessionId"] for item in ask("GET", "/activation/progress", token=token).json["items"]]
        for token in (service, officer, signed_in("root", Role.ADMIN))
    ]
    assert ids == [["job"], [], ["job"]]


def test_a_long_poll_answers_at_the_next_change(service: str) -> None:
    put(service, {"total": 10})
    timer = threading.Timer(0.3, put, (service, {"activated": 1}))
    timer.start()
    answer = show(service, since="1", waitMs="20000")
    timer.join()
    assert answer.json["data"]["revision"] == 2


def test_a_long_poll_behind_the_newest_revision_answers_at_once(service: str) -> None:
    put(service, {"total": 10})
    put(service, {"activated": 1})
    assert show(service, since="1", waitMs="20000").json["data"]["revision"] == 2
    put(service, {"completed": True})
    assert show(service, since="3", waitMs="20000").json["data"]["completed"] is True


def test_a_long_poll_without_a_place_answers_at_once(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(service, {"total": 10})
    monkeypatch.setattr(type(coordination.places()), "take", lambda *_: None)
    assert show(service, since="1", waitMs="20000").json["data"]["revision"] == 1
