"""Applications over HTTP: batch updates, with every id in the result."""

from typing import Any

import pytest

from chalicelib.core.stores import clients
from tests.support.gateway import ask
from tests.unit.applications.build import PATH, at, change, make


def test_a_batch_reports_every_id_once(officer: str, admin: str) -> None:
    # Given
    submitted = [make(officer, status="submitted")["applicationId"] for _ in range(12)]
    draft = make(officer)["applicationId"]
    deleted = make(officer)
    ask("DELETE", at(deleted), token=admin, query={"version": "1"})
    # When
    wanted = [*submitted, draft, deleted["applicationId"], "none"]
    answer = ask("POST", f"{PATH}/batch-update", {"applicationIds": wanted, "status": "review"}, token=officer)
    # Then
    assert answer.status == 200
    assert answer.json == {
        "updated": submitted,
        "conflicts": [],
        "missing": [deleted["applicationId"], "none"],
        "invalid": [draft],
    }
    listed = ask("GET", PATH, token=officer, query={"status": "review"}).json
    assert {item["applicationId"] for item in listed["items"]} == set(submitted)
    assert {item["version"] for item in listed["items"]} == {2}


def test_a_batch_reports_ids_of_another_version_as_conflicts(officer: str) -> None:
    first, second = make(officer, status="submitted"), make(officer, status="submitted")
    change(officer, second, termMonths=7)
    items = [{"id": made["applicationId"], "version": 1} for made in (first, second)]
    answer = ask("POST", f"{PATH}/batch-update", {"items": items, "status": "approved"}, token=officer)
    assert answer.json == {
        "updated": [first["applicationId"]],
        "conflicts": [second["applicationId"]],
        "missing": [],
        "invalid": [],
    }


@pytest.mark.parametrize(
    "body",
    [
        {"status": "review"},
        {"applicationIds": [], "status": "review"},
        {"applicationIds": ["a"], "items": [{"id": "a", "version": 1}], "status": "review"},
        {"items": [{"id": "a", "version": 1}, {"id": "a", "version": 2}], "status": "review"},
        {"applicationIds": [f"a-{number}" for number in range(501)], "status": "review"},
        {"applicationIds": ["a"], "status": "draft"},
        {"applicationIds": ["a"], "status": "disbursed"},
        {"applicationIds": ["a"]},
    ],
)
def test_a_malformed_batch_is_refused(officer: str, body: dict[str, Any]) -> None:
    assert ask("POST", f"{PATH}/batch-update", body, token=officer).status == 422


def test_a_repeated_batch_reports_its_own_updates(officer: str) -> None:
    # Given a call whose answer and stored result were lost
    made = [make(officer, status="submitted")["applicationId"] for _ in range(3)]
    body = {"applicationIds": made, "status": "review"}
    first = ask("POST", f"{PATH}/batch-update", body, token=officer, headers={"Idempotency-Key": "k"})
    claims = clients.table("coordination")
    scanned, _ = claims.scan("", 100)
    (claim,) = (item for item in scanned if item["pk"].startswith("claim#"))
    claims.batch_write([claim | {"state": "running", "leaseUntil": 0}])
    # Then
    again = ask("POST", f"{PATH}/batch-update", body, token=officer, headers={"Idempotency-Key": "k"})
    assert (again.status, again.json) == (200, first.json)
    assert "Idempotency-Replayed" not in again.headers
