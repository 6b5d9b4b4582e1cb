from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.applications.models import MOVES, BatchUpdate, Status, before, removable, sources
from chalicelib.core.records.models import Doc, State

ANY = st.sampled_from(list(Status))
TERMS = {"amountMinor": 100, "currency": "EUR", "termMonths": 12}


def holds(states: list[State], doc: Doc) -> bool:
    return not states or any(all(doc[name] in allowed for name, allowed in state.items()) for state in states)


def test_the_table_of_moves_is_complete() -> None:
    moves = {(source.value, target.value) for source, targets in MOVES.items() for target in targets}
    assert moves == {
        ("draft", "submitted"),
        ("submitted", "review"),
        ("submitted", "approved"),
        ("submitted", "rejected"),
        ("review", "approved"),
        ("review", "rejected"),
        ("approved", "disbursed"),
    }


@pytest.mark.parametrize(("source", "target"), list(product(Status, Status)))
def test_a_change_follows_the_table_of_moves_and_never_disburses(source: Status, target: Status) -> None:
    allowed = source is target or (target in MOVES[source] and target is not Status.DISBURSED)
    assert holds(before({"status": target.value}), {"status": source.value}) == allowed


def test_a_batch_may_set_every_reachable_status() -> None:
    (status,) = [field for name, field in BatchUpdate.model_fields.items() if name == "status"]
    assert set(get_args(status.annotation)) == {one.value for one in Status if sources(one)}


@given(ANY, st.booleans())
def test_terms_are_fixed_after_a_decision(status: Status, same: bool) -> None:
    doc = {"status": status.value, **TERMS}
    fields = {"amountMinor": 100 if same else 101}
    undecided = status in {Status.DRAFT, Status.SUBMITTED, Status.REVIEW}
    assert holds(before(fields), doc) == (same or undecided)


@given(ANY, ANY)
def test_an_unchanged_document_with_a_new_status_may_move(source: Status, target: Status) -> None:
    doc = {"status": source.value, **TERMS}
    allowed = source is target or source in sources(target)
    assert holds(before({**TERMS, "status": target.value}), doc) == allowed


def test_other_fields_may_change_in_every_state() -> None:
    assert before({"applicantName": "Grace", "incomeMinor": None}) == []


def test_a_disbursed_application_is_never_removable() -> None:
    assert [status.value for status in Status if not holds(removable(), {"status": status.value})] == ["disbursed"]
