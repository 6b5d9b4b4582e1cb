"""Applications over HTTP: roles, versions, moves of the status."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chalicelib.applications.search import KIND
from chalicelib.core.records import wiring as records_wiring
from tests.support.concurrency import race
from tests.support.gateway import Answer, ask
from tests.unit.applications.build import PATH, approved, at, change, fields, make, moved

SHOWN = {"applicationId", "applicantName", "email", "amountMinor", "currency", "termMonths", "incomeMinor", "status"}
SHOWN |= {"version", "createdAt", "createdBy", "updatedAt", "updatedBy"}


def store_round_trips(printed: Any) -> int:
    """Return the store round trips of the last request."""
    return int(printed.lines()[-1]["storeRoundTrips"])


# --- making


def test_a_new_application_is_a_draft_at_version_one(officer: str) -> None:
    answer = ask("POST", PATH, fields(), token=officer)
    assert (answer.status, answer.headers["ETag"]) == (201, '"1"')
    assert set(answer.json) == SHOWN
    assert (answer.json["version"], answer.json["status"], answer.json["incomeMinor"]) == (1, "draft", None)
    assert (answer.json["createdBy"], answer.json["updatedBy"]) == ("officer-1", "officer-1")
    assert ask("GET", at(answer.json), token=officer).json == answer.json


def test_racing_creations_of_an_id_have_one_winner(officer: str) -> None:
    answers = race([partial(ask, "POST", PATH, fields(applicationId="A-17"), token=officer)] * 10)
    assert sorted(answer.status for answer in answers if isinstance(answer, Answer)) == [201] + [409] * 9


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"applicationId": "a/b"}, "applicationId"),
        ({"applicationId": ""}, "applicationId"),
        ({"applicationId": "batch-update"}, "applicationId"),
        ({"applicantName": " "}, "applicantName"),
        ({"applicantName": "a\nb"}, "applicantName"),
        ({"email": "ada"}, "email"),
        ({"email": "a da@example.org"}, "email"),
        ({"amountMinor": 0}, "amountMinor"),
        ({"amountMinor": 10.5}, "amountMinor"),
        ({"amountMinor": "10"}, "amountMinor"),
        ({"amountMinor": True}, "amountMinor"),
        ({"amountMinor": 10**16}, "amountMinor"),
        ({"currency": "eur"}, "currency"),
        ({"termMonths": 0}, "termMonths"),
        ({"incomeMinor": -1}, "incomeMinor"),
        ({"status": "approved"}, "status"),
        ({"version": 1}, "version"),
    ],
)
def test_a_wrong_field_is_named(officer: str, wrong: dict[str, Any], path: str) -> None:
    answer = ask("POST", PATH, fields(**wrong), token=officer)
    assert answer.status == 422
    assert [error["path"] for error in answer.json["errors"]] == [path]


@pytest.mark.parametrize("role", ["service", "user"])
def test_applications_are_for_officers_and_administrators(office: dict[str, str], role: str) -> None:
    made = make(office["officer"])
    for method, path in (("GET", PATH), ("POST", PATH), ("GET", at(made)), ("PUT", at(made)), ("DELETE", at(made))):
        body = fields() if method in {"POST", "PUT"} else None
        assert ask(method, path, body, token=office[role]).status == 403


@pytest.mark.parametrize(("method", "more"), [("DELETE", ""), ("POST", "/disburse")])
def test_deletion_and_disbursement_need_an_administrator(officer: str, method: str, more: str) -> None:
    assert ask(method, at(make(officer)) + more, token=officer).status == 403


def test_an_unknown_application_is_404_on_every_route(officer: str, admin: str) -> None:
    nothing = {"applicationId": "none", "version": 1}
    for answer in (
        ask("GET", at(nothing), token=officer),
        change(officer, nothing, termMonths=12),
        ask("DELETE", at(nothing), token=admin, query={"version": "1"}),
        ask("GET", at(nothing) + "/history", token=officer),
        ask("POST", at(nothing) + "/disburse", token=admin),
        ask("GET", f"{PATH}/a b", token=officer),
    ):
        assert answer.status == 404


# --- changing


def test_a_change_makes_the_next_version_and_leaves_the_rest(office: dict[str, str]) -> None:
    made = make(office["officer"], incomeMinor=5)
    answer = change(office["admin"], made, termMonths=36, incomeMinor=None)
    assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    assert answer.json == made | {
        "termMonths": 36,
        "incomeMinor": None,
        "version": 2,
        "updatedBy": "admin-1",
        "updatedAt": answer.json["updatedAt"],
    }


def test_racing_changes_of_a_version_have_one_winner(officer: str) -> None:
    made = make(officer)
    answers = race([partial(change, officer, made, termMonths=1 + number) for number in range(100)])
    received = [answer for answer in answers if isinstance(answer, Answer)]
    assert sorted(answer.status for answer in received) == [200] + [409] * 99
    for answer in received:
        if answer.status == 409:
            assert (answer.json["currentVersion"], answer.json["updatedBy"]) == (2, "officer-1")


def test_a_version_may_come_as_an_etag(officer: str) -> None:
    made = make(officer)
    answer = ask("PUT", at(made), {"termMonths": 12}, token=officer, headers={"If-Match": '"1"'})
    assert (answer.status, answer.json["version"]) == (200, 2)
    stale = ask("PUT", at(made), {"termMonths": 13}, token=officer, headers={"If-Match": '"1"'})
    assert (stale.status, stale.json["currentVersion"]) == (409, 2)


def test_a_change_without_exactly_one_version_is_refused(officer: str, admin: str) -> None:
    made = make(officer)
    assert ask("PUT", at(made), {"termMonths": 12}, token=officer).status == 428
    assert ask("DELETE", at(made), token=admin).status == 428
    for header in ("one", '"2"', '"2", "3"'):
        answer = ask("PUT", at(made), {"termMonths": 12, "version": 1}, token=officer, headers={"If-Match": header})
        assert answer.status == 422, header


def test_a_required_field_cannot_be_set_to_null(officer: str) -> None:
    answer = change(officer, make(officer), applicantName=None, status=None)
    assert answer.status == 422
    assert {error["path"] for error in answer.json["errors"]} == {"applicantName", "status"}


def test_an_illegal_move_is_409_with_the_current_version(officer: str) -> None:
    made = make(officer)
    answer = change(officer, made, status="approved")
    assert (answer.status, answer.json["currentVersion"]) == (409, 1)
    assert change(officer, made, status="disbursed").status == 409
    assert ask("GET", at(made), token=officer).json == made


def test_terms_of_a_decided_application_cannot_change(officer: str) -> None:
    decided = approved(officer)
    assert change(officer, decided, amountMinor=1).status == 409
    again = change(officer, decided, **{name: decided[name] for name in fields()})
    assert (again.status, again.json["version"]) == (200, decided["version"] + 1)


def test_a_repeated_creation_under_a_key_makes_one_application(officer: str) -> None:
    key = {"Idempotency-Key": "k"}
    first = ask("POST", PATH, fields(), token=officer, headers=key)
    assert ask("POST", PATH, fields(), token=officer, headers=key).json == first.json
    assert len(ask("GET", PATH, token=officer).json["items"]) == 1


# --- deleting


def test_a_deleted_application_is_404_and_its_versions_continue(officer: str, admin: str) -> None:
    made = make(officer, applicationId="A-17")
    assert ask("DELETE", at(made), token=admin, query={"version": "2"}).status == 409
    gone = ask("DELETE", at(made), token=admin, query={"version": "1"})
    assert (gone.status, gone.text) == (204, "")
    assert ask("GET", at(made), token=officer).status == 404
    assert ask("GET", PATH, token=officer).json["items"] == []
    assert make(officer, applicationId="A-17")["version"] == 3


def test_a_disbursed_application_cannot_be_deleted(officer: str, admin: str) -> None:
    paid = ask("POST", at(approved(officer)) + "/disburse", token=admin).json
    assert ask("DELETE", at(paid), token=admin, query={"version": str(paid["version"])}).status == 409


# --- annotations


def test_an_annotation_changes_neither_version_nor_answers(officer: str) -> None:
    # Given
    made = make(officer)
    records_wiring.store().annotate(KIND.name, made["applicationId"], {"score": 0.5}, operation="score")
    # Then the answers are as before
    found = ask("GET", at(made), token=officer)
    assert (found.json, found.headers["ETag"]) == (made, '"1"')
    assert ask("GET", PATH, token=officer).json["items"] == [made]
    # And a change of the version that was read succeeds, and keeps the annotation
    assert change(officer, made, termMonths=36).json["version"] == 2
    record = records_wiring.store().get(KIND.name, made["applicationId"])
    assert (record.annotations, record.doc["termMonths"]) == ({"score": 0.5}, 36)


# --- history


def test_history_lists_versions_with_author_and_changes(office: dict[str, str]) -> None:
    # Given
    made = make(office["officer"])
    moved(office["admin"], made, "submitted")
    records = [records_wiring.store().get(KIND.name, made["applicationId"])]
    first = replace(records[0], version=1, doc=records[0].doc | {"status": "draft"}, updated_by="officer-1")
    records_wiring.history().add([first, *records])
    # When
    answer = ask("GET", at(made) + "/history", token=office["officer"])
    # Then
    assert answer.status == 200
    newest, oldest = answer.json["items"]
    assert (newest["version"], newest["by"], newest["deleted"], newest["lost"]) == (2, "admin-1", False, False)
    assert newest["changes"] == [{"field": "status", "before": "draft", "after": "submitted"}]
    assert (oldest["version"], oldest["by"]) == (1, "officer-1")
    assert {change["field"] for change in oldest["changes"]} == set(fields()) | {"status"}
    # And page by page
    page = ask("GET", at(made) + "/history", token=office["officer"], query={"limit": "1"}).json
    query = {"limit": "1", "cursor": page["nextCursor"]}
    rest = ask("GET", at(made) + "/history", token=office["officer"], query=query).json
    assert page["items"] + rest["items"] == answer.json["items"]
    assert rest["nextCursor"] is None


def test_a_new_application_has_no_history_yet(officer: str) -> None:
    answer = ask("GET", at(make(officer)) + "/history", token=officer)
    assert (answer.status, answer.json) == (200, {"items": [], "nextCursor": None})


# --- store round trips


def test_each_route_has_its_minimum_of_store_round_trips(officer: str, printed: Any) -> None:
    made = make(officer)
    # Each request needs a round trip for the session.
    ask("GET", at(made), token=officer)
    assert store_round_trips(printed) == 1 + 1
    change(officer, made, termMonths=12)
    assert store_round_trips(printed) == 1 + 1 + 1
    ask("GET", PATH, token=officer)
    assert store_round_trips(printed) == 1 + 1
    ask("GET", PATH, token=officer, query={"page": "2", "limit": "1", "q": "ada", "status": "draft"})
    assert store_round_trips(printed) == 1 + 1
