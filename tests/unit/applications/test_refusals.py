"""A refusal by the status of an application names the status, and the refused field or move."""

from itertools import product
from typing import Any

import pytest

from chalicelib.applications.models import Status, before
from chalicelib.applications.refusals import change_refused
from tests.support.gateway import Answer, ask
from tests.unit.applications.build import approved, at, change, make

TERMS = {"amountMinor": 100, "currency": "EUR", "termMonths": 12}


def reason(answer: Answer) -> Any:
    assert (answer.status, answer.json["code"]) == (409, "wrong-state")
    return answer.json["detail"]


def test_refused_term_is_named_with_the_status(officer: str) -> None:
    decided = approved(officer)
    assert reason(change(officer, decided, amountMinor=1)) == "An approved application's amountMinor cannot change."
    both = reason(change(officer, decided, amountMinor=1, currency="USD", termMonths=decided["termMonths"]))
    assert both == "An approved application's amountMinor and currency cannot change."


def test_refused_move_is_named_with_both_statuses(officer: str) -> None:
    made = make(officer)
    assert reason(change(officer, made, status="approved")) == "A draft application cannot become approved."
    paid = reason(change(officer, approved(officer), status="disbursed"))
    assert paid == "An approved application cannot become disbursed by a change; POST …/disburse pays."


def test_refused_deletion_and_payment_name_the_status(officer: str, admin: str) -> None:
    made = make(officer)
    unpaid = reason(ask("POST", at(made) + "/disburse", token=admin))
    assert unpaid == "A draft application cannot be disbursed; only an approved application can."
    paid = ask("POST", at(approved(officer)) + "/disburse", token=admin).json
    kept = reason(ask("DELETE", at(paid), token=admin, query={"version": str(paid["version"])}))
    assert kept == "A disbursed application cannot be deleted."


@pytest.mark.parametrize(("source", "target"), list(product(Status, Status)))
@pytest.mark.parametrize("terms", [{}, {"amountMinor": 100}, {"amountMinor": 1}])
def test_exactly_the_refused_changes_have_a_reason(source: Status, target: Status, terms: dict[str, Any]) -> None:
    doc = {**TERMS, "status": source.value}
    wanted = {**terms, "status": target.value}
    allowed = any(all(doc[name] in values for name, values in state.items()) for state in before(wanted))
    assert (change_refused(doc, wanted) == "") == allowed
