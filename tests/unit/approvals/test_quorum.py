"""Requests to several people: the required number of approvals, and escalation to more people."""

import random
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.approvals.errors import ActionNotOffered, AlreadyAnswered, AlreadySettled, NothingPending
from chalicelib.approvals.models import Approval, Status
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.errors import Forbidden
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import id_of_name, named
from tests.support.concurrency import race
from tests.unit.approvals.build import PERSON, answer, answer_oldest, listed, put

BOARD = ["ben", "cem", "dan"]


def test_a_request_is_pending_until_enough_people_approve(approvals: ApprovalStore) -> None:
    request_id = put(approvals, approvers=BOARD, required=3)
    assert answer(approvals, request_id, "approve", PERSON).status is Status.PENDING
    assert answer(approvals, request_id, "approve", "ben").status is Status.PENDING
    decided = answer(approvals, request_id, "approve", "dan")
    assert (decided.status, decided.action) == (Status.RESOLVED, "approve")
    assert [(given.username, given.action) for given in decided.answers] == [
        (PERSON, "approve"),
        ("ben", "approve"),
        ("dan", "approve"),
    ]


def test_a_single_rejection_settles_the_request(approvals: ApprovalStore) -> None:
    request_id = put(approvals, approvers=BOARD, required=4)
    answer(approvals, request_id, "approve", PERSON)
    decided = answer(approvals, request_id, "reject", "cem")
    assert (decided.status, decided.action) == (Status.RESOLVED, "reject")
    with pytest.raises(AlreadySettled):
        answer(approvals, request_id, "approve", "ben")


def test_a_second_answer_of_a_person_raises_already_answered(approvals: ApprovalStore) -> None:
    request_id = put(approvals, approvers=BOARD, required=2)
    answer(approvals, request_id, "approve", "ben")
    for action in ("approve", "reject"):
        with pytest.raises(AlreadyAnswered):
            answer(approvals, request_id, action, "ben")
    seen = approvals.get(request_id).approval
    assert (seen.status, len(seen.answers)) == (Status.PENDING, 1)


def test_a_person_named_twice_is_one_approver(approvals: ApprovalStore) -> None:
    request_id = put(approvals, approvers=["ben", PERSON, "ben"], required=2)
    assert approvals.get(request_id).approval.approvers == [PERSON, "ben"]


def test_an_answer_by_someone_not_asked_is_forbidden(approvals: ApprovalStore) -> None:
    request_id = put(approvals, approvers=BOARD, required=2)
    with pytest.raises(Forbidden):
        answer(approvals, request_id, "approve", "eve")


def test_an_action_not_offered_does_not_count(approvals: ApprovalStore) -> None:
    request_id = put(approvals, approvers=BOARD, required=2)
    with pytest.raises(ActionNotOffered):
        answer(approvals, request_id, "maybe", "ben")
    assert answer(approvals, request_id, "approve", "ben").answers


@pytest.mark.parametrize("actions", [["reject", "approve"], ["approve", "reject", "later"]])
def test_approve_needs_the_required_number_at_any_position(approvals: ApprovalStore, actions: list[str]) -> None:
    request_id = put(approvals, approvers=BOARD, required=2, actions=actions)
    assert answer(approvals, request_id, "approve", "ben").status is Status.PENDING
    assert answer(approvals, request_id, "reject", "cem").action == "reject"


def test_without_approve_the_first_action_needs_the_number(approvals: ApprovalStore) -> None:
    request_id = put(approvals, approvers=BOARD, required=2, actions=["yes", "no"])
    assert answer(approvals, request_id, "yes", "ben").status is Status.PENDING
    assert answer(approvals, request_id, "yes", "cem").action == "yes"


def test_answer_oldest_skips_requests_the_person_has_answered(approvals: ApprovalStore) -> None:
    first, second = put(approvals, approvers=BOARD, required=2), put(approvals)
    assert answer_oldest(approvals, PERSON, "approve").request_id == first
    assert answer_oldest(approvals, PERSON, "approve").request_id == second
    with pytest.raises(NothingPending):
        answer_oldest(approvals, PERSON, "approve")
    assert answer_oldest(approvals, "ben", "approve").status is Status.RESOLVED


def test_a_repeated_operation_answers_once(approvals: ApprovalStore) -> None:
    operation = ids.new_id()
    request_id = put(approvals, approvers=BOARD, required=2)
    first = answer(approvals, request_id, "approve", "ben", operation)
    assert answer(approvals, request_id, "approve", "ben", operation) == first
    done = approvals.done_by(operation)
    assert done
    assert done.approval == first


def test_a_request_is_listed_for_each_approver(approvals: ApprovalStore) -> None:
    request_id = put(approvals, approvers=BOARD)
    for username in (PERSON, *BOARD):
        assert [approval.request_id for approval in listed(approvals, id_of_name(username), None, 10, None)] == [
            request_id
        ]
    assert listed(approvals, id_of_name("eve"), None, 10, None) == []


def test_an_escalated_person_may_answer_once_admitted(approvals: ApprovalStore) -> None:
    request_id = put(approvals, escalate_to=[{"username": "eve", "afterMs": 1_000}])
    with pytest.raises(Forbidden):
        answer(approvals, request_id, "approve", "eve")
    for _ in range(2):
        admitted = approvals.admit(request_id, named("eve"), 0)
        assert admitted
        assert admitted.approval.approvers == [PERSON, "eve"]
    assert answer(approvals, request_id, "approve", "eve").status is Status.RESOLVED
    assert approvals.admit(request_id, named("fay"), 1) is None


@pytest.mark.parametrize("_round", range(5))
def test_racing_answers_count_once_per_person_up_to_the_number(approvals: ApprovalStore, _round: int) -> None:
    # Given
    people = [f"p{number}" for number in range(20)]
    request_id = put(approvals, approvers=people, required=7)
    calls = [partial(answer, approvals, request_id, "approve", person) for person in people for _ in range(3)]
    random.shuffle(calls)
    # When
    results = race(calls)
    # Then
    kept = [result for result in results if isinstance(result, Approval)]
    final = approvals.get(request_id).approval
    assert len(kept) == len(final.answers) == 7
    assert len({given.username for given in final.answers}) == 7
    assert [result.status for result in kept].count(Status.RESOLVED) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), required=st.integers(1, 4))
def test_any_order_of_answers_gives_the_outcome_of_the_rule(
    approvals: ApprovalStore, data: st.DataObject, required: int
) -> None:
    # Given
    people = [PERSON, *BOARD]
    request_id = put(approvals, approvers=BOARD, required=required)
    answers: dict[str, str] = {}
    # When
    for _ in range(data.draw(st.integers(0, 8))):
        who, action = data.draw(st.sampled_from(people)), data.draw(st.sampled_from(["approve", "reject"]))
        ended = "reject" in answers.values() or len(answers) >= required
        if ended or who in answers:
            with pytest.raises((AlreadySettled, AlreadyAnswered)):
                answer(approvals, request_id, action, who)
        else:
            answer(approvals, request_id, action, who)
            answers[who] = action
    # Then
    seen = approvals.get(request_id).approval
    expected = "reject" if "reject" in answers.values() else "approve" if len(answers) >= required else None
    assert seen.action == expected
    assert {given.username: given.action for given in seen.answers} == answers
