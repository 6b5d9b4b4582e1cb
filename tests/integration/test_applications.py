"""Applications on the deployed stack: through the gateway, by several processes, projected by the stream."""

import secrets
from functools import partial
from typing import Any

import pytest

from infra.local.stack import Stack
from tests.support.client import Client, at_once, json_of, problem_of
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

PATH = "/api/applications"
FIELDS = {
    "applicantName": "Ada Lovelace",
    "email": "ada@example.org",
    "amountMinor": 1_000_000,
    "currency": "EUR",
    "termMonths": 24,
}


@pytest.fixture(scope="module")
def officer(person: NewPerson) -> Client:
    return person("officer").client


def make(caller: Client, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = json_of(caller.post(PATH, FIELDS | more), 201)
    return made


def at(application: dict[str, Any]) -> str:
    return f"{PATH}/{application['applicationId']}"


def approved(caller: Client, **more: Any) -> dict[str, Any]:
    made = make(caller, status="submitted", **more)
    changed: dict[str, Any] = json_of(caller.call("PUT", at(made), {"status": "approved", "version": 1}))
    return changed


def test_an_application_is_made_read_changed_and_deleted(officer: Client, admin: Client) -> None:
    made = make(officer)
    read = officer.get(at(made))
    assert (json_of(read), read.headers["ETag"]) == (made, '"1"')
    changed = officer.call("PUT", at(made), {"termMonths": 36}, headers={"If-Match": read.headers["ETag"]})
    assert json_of(changed) == made | {"termMonths": 36, "version": 2, "updatedAt": changed.json()["updatedAt"]}
    assert changed.headers["ETag"] == '"2"'
    assert problem_of(officer.call("PUT", at(made), {"termMonths": 1, "version": 1}), 409)["currentVersion"] == 2
    problem_of(officer.call("PUT", at(made), {"termMonths": 1}), 428)
    problem_of(admin.delete(at(made)), 428)
    problem_of(admin.delete(at(made) + "?version=1"), 409)
    assert admin.delete(at(made) + "?version=2").status_code == 204
    problem_of(officer.get(at(made)), 404)


def test_a_search_by_word_and_status_has_pages_and_cursors(officer: Client) -> None:
    word = f"w{secrets.token_hex(6)}"
    made = [make(officer, applicantName=f"Ann {word}{number}", status="submitted") for number in range(5)]
    first = json_of(officer.get(f"{PATH}?q={word}&status=submitted&limit=3&sort=createdAt"))
    assert (first["total"], first["totalIsLowerBound"], first["page"]) == (5, False, 1)
    query = f"q={word}&status=submitted&limit=3&sort=createdAt&cursor={first['nextCursor']}"
    second = json_of(officer.get(f"{PATH}?{query}"))
    assert (second["page"], second["nextCursor"]) == (2, None)
    assert first["items"] + second["items"] == made
    assert json_of(officer.get(f"{PATH}?q={word}&page=2&limit=3&sort=createdAt"))["items"] == second["items"]


def test_history_follows_by_the_stream_also_after_a_deletion(officer: Client, admin: Client) -> None:
    made = make(officer)
    json_of(officer.call("PUT", at(made), {"amountMinor": 7, "version": 1}))
    admin.delete(at(made) + "?version=2")

    def whole() -> Any:
        items = json_of(officer.get(at(made) + "/history"))["items"]
        return items if len(items) == 3 else None

    deleted, changed, first = eventually(whole)
    assert (deleted["version"], deleted["by"], deleted["deleted"]) == (3, "admin", True)
    assert changed["changes"] == [{"field": "amountMinor", "before": 1_000_000, "after": 7}]
    assert (first["version"], first["by"], first["at"]) == (1, made["createdBy"], made["createdAt"])
    problem_of(officer.get(PATH + "/none/history"), 404)


def test_a_batch_of_five_hundred_reports_every_id(officer: Client) -> None:
    made = at_once([partial(make, officer, status="submitted") for _ in range(20)])
    drafts = [make(officer)["applicationId"] for _ in range(3)]
    ids = [one["applicationId"] for one in made]
    missing = [f"none-{number}" for number in range(477)]
    body = {"applicationIds": [*ids, *drafts, *missing], "status": "review"}
    answer = json_of(officer.post(PATH + "/batch-update", body))
    assert answer == {"updated": ids, "conflicts": [], "missing": missing, "invalid": drafts}


def test_racing_disbursements_pay_each_application_once(stack: Stack, officer: Client, admin: Client) -> None:
    # Given approved applications, and warm instances, as cold starts are no part of the promise
    ready = [approved(officer, amountMinor=100 + number) for number in range(3)]
    before = _verified(admin)["entries"]
    direct = admin.at(stack.api_url)
    at_once([partial(direct.get, at(one)) for one in ready * 4])
    # When
    answers = at_once([partial(direct.post, at(one) + "/disburse") for one in ready * 4])
    # Then
    assert {json_of(answer)["status"] for answer in answers} == {"disbursed"}
    after = _verified(admin)
    assert (after["ok"], after["entries"]) == (True, before + 3)
    ids = {one["applicationId"]: one["amountMinor"] for one in ready}
    paid = [
        (entry["applicationId"], entry["amountMinor"]) for entry in _entries(admin) if entry["applicationId"] in ids
    ]
    assert sorted(paid) == sorted(ids.items())
    # And an unapproved application is not paid
    problem_of(admin.post(at(make(officer)) + "/disburse"), 409)
    problem_of(officer.post(at(ready[0]) + "/disburse"), 403)


def _entries(admin: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = json_of(admin.get("/api/ledger?limit=200"))
    found += page["items"]
    while page["nextCursor"]:
        page = json_of(admin.get(f"/api/ledger?limit=200&cursor={page['nextCursor']}"))
        found += page["items"]
    return found


def _verified(admin: Client) -> dict[str, Any]:
    answer: dict[str, Any] = json_of(admin.get("/api/ledger/verify"))
    while answer["nextCursor"]:
        answer = json_of(admin.get(f"/api/ledger/verify?cursor={answer['nextCursor']}"))
    return answer
