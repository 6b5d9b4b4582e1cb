"""Import of an application of another system: read whole, or refused with every fault."""

from typing import Any

import pytest

from chalicelib.applications.importing import adopted
from chalicelib.applications.models import Status
from chalicelib.core.errors import Invalid
from infra.operations.migration.__main__ import READERS

DOC: dict[str, Any] = {
    "applicantName": "Ann",
    "email": "ann@example.org",
    "amountMinor": 1_000,
    "currency": "EUR",
    "termMonths": 12,
    "incomeMinor": 300,
    "status": "submitted",
}
EXTRA = "is not a field of this request"
ID = "must be 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or a digit"
EMAIL = "must be an e-mail address of at most 254 characters, such as ann@example.org"
STATUSES = "must be one of: draft, submitted, review, approved, rejected, disbursed"


def faults(document: dict[str, Any], **options: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        adopted(document, **options)
    return dict(caught.value.errors)


@pytest.mark.parametrize("status", Status)
def test_a_document_of_any_status_is_imported(status: Status) -> None:
    record_id, doc = adopted({"_id": "A-1", **DOC, "status": status.value})
    assert (record_id, doc) == ("A-1", {**DOC, "status": status.value})
    assert type(doc["status"]) is str


@pytest.mark.parametrize(
    ("ids", "record_id"),
    [
        ({"_id": "A-1"}, "A-1"),
        ({"_id": 7}, "7"),
        ({"_id": "A-1", "applicationId": "B-1"}, "B-1"),
        ({"_id": "A-1", "application_id": "B-1"}, "B-1"),
        ({"_id": "A-1", "applicationId": None}, "A-1"),
        ({"_id": {"part": 1}, "applicationId": 12}, "12"),
    ],
)
def test_the_application_id_takes_precedence_over_the_id_of_mongodb(ids: dict[str, Any], record_id: str) -> None:
    assert adopted({**ids, **DOC}) == (record_id, DOC)


def test_an_id_that_is_a_word_of_a_route_is_refused() -> None:
    reserved = {"_id": "must not be a word that a route has in the place of the id: batch"}
    assert faults({"_id": "batch", **DOC}, taken={"batch"}) == reserved
    assert faults({"_id": "batch", **DOC, "status": "odd"}, taken={"batch"})["status"] == STATUSES
    assert adopted({"_id": "Batch", **DOC}, taken={"batch"})[0] == "Batch"


def test_the_command_refuses_the_words_of_the_applications_routes() -> None:
    with pytest.raises(Invalid):
        READERS["application"]({"_id": "batch-update", **DOC}, drop_unknown=False)


def test_fields_in_snake_case_are_read() -> None:
    snake = {"applicant_name": "Ann", "amount_minor": 1_000, "term_months": 12, "income_minor": 300}
    rest = {name: DOC[name] for name in ("email", "currency", "status")}
    assert adopted({"_id": "A-1", **snake, **rest}) == ("A-1", DOC)


def test_a_field_given_in_both_spellings_is_refused() -> None:
    assert faults({"_id": "A-1", **DOC, "term_months": 24}) == {"term_months": "is not a field of this request"}


def test_whole_floats_and_missing_optional_fields_are_read() -> None:
    given = {name: value for name, value in DOC.items() if name not in {"incomeMinor", "status"}}
    read = adopted({"_id": "A-1", **given, "amountMinor": 1_000.0})
    assert read == ("A-1", {**DOC, "incomeMinor": None, "status": "draft"})
    assert type(read[1]["amountMinor"]) is int


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"amountMinor": 10.5}, {"amountMinor": "must be a whole number"}),
        ({"amountMinor": "10"}, {"amountMinor": "must be a whole number"}),
        ({"amountMinor": True}, {"amountMinor": "must be a whole number"}),
        ({"status": "lost"}, {"status": STATUSES}),
        ({"status": None}, {"status": STATUSES}),
        ({"status": ["draft"]}, {"status": STATUSES}),
        ({"_id": None}, {"_id": "is required"}),
        ({"_id": True}, {"_id": ID}),
        ({"_id": {"part": 1}}, {"_id": ID}),
        (
            {"email": None, "note": 1},
            {"email": EMAIL, "note": "is not a field of this request"},
        ),
        ({"status": "lost", "note": 1}, {"status": STATUSES, "note": EXTRA}),
    ],
    ids=str,
)
def test_every_fault_is_named_by_its_field(wrong: dict[str, Any], fault: dict[str, str]) -> None:
    assert faults({"_id": "A-1", **DOC, **wrong}) == fault


def test_drop_unknown_drops_unknown_fields_and_no_wrong_fields() -> None:
    assert adopted({"_id": "A-1", **DOC, "note": 1, "__v": 0}, drop_unknown=True) == ("A-1", DOC)
    wrong = {"_id": "A-1", **DOC, "note": 1, "termMonths": 0}
    assert faults(wrong, drop_unknown=True).keys() == {"termMonths"}


def test_the_given_document_is_not_changed() -> None:
    given = {"_id": "A-1", **DOC}
    adopted(given)
    assert given == {"_id": "A-1", **DOC}
