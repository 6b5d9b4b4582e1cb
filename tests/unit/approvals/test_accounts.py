"""What belongs to a person follows the account, not the name; who acts for others is recorded, and counts once."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from chalicelib.approvals import callback
from chalicelib.approvals.errors import AlreadyAnswered, AlreadySettled, NothingPending
from chalicelib.approvals.models import Status
from chalicelib.approvals.store import ApprovalStore
from chalicelib.approvals.upgrade import upgrade
from chalicelib.core.errors import Forbidden
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import Account, id_of_name, named
from tests.unit.approvals.build import CALLER, PERSON, an_approval, answer, answer_oldest, cancel, listed, position, put

Mongo = Database[dict[str, Any]]
BOARD = ["ben", "cem", "dan"]
OLD, NEW = Account("ann", ids.new_id()), Account("ann", ids.new_id())


def asked_of(approvals: ApprovalStore, person: Account, created_by: Account = OLD) -> str:
    new = an_approval(username=person.username)
    return approvals.put(ids.new_id(), new, created_by, {person.username: person.account_id}).approval.request_id


# --- a name that passed to another account


def test_a_later_user_of_the_name_may_not_answer_or_cancel(approvals: ApprovalStore) -> None:
    request_id = asked_of(approvals, OLD)
    with pytest.raises(Forbidden):
        approvals.resolve(request_id, "approve", NEW, ids.new_id())
    with pytest.raises(NothingPending):
        approvals.resolve_oldest(NEW, "approve", NEW, ids.new_id())
    with pytest.raises(Forbidden):
        approvals.cancel(request_id, NEW, ids.new_id())
    assert listed(approvals, NEW.account_id, None, 9, None) == []
    assert approvals.resolve(request_id, "approve", OLD, ids.new_id()).settled


def test_two_accounts_of_a_name_answer_one_request_each_for_itself(approvals: ApprovalStore) -> None:
    # Given a question to the first, escalated to the second of the name
    new = an_approval(username="ann", approvers=["ben"], required=2)
    known = {"ann": OLD.account_id, "ben": id_of_name("ben")}
    request_id = approvals.put(ids.new_id(), new, named(CALLER), known).approval.request_id
    admitted = approvals.admit(request_id, NEW, 0)
    # Then
    assert admitted is not None
    assert admitted.asked == [OLD, named("ben"), NEW]
    approvals.resolve(request_id, "approve", OLD, ids.new_id())
    assert approvals.resolve(request_id, "approve", NEW, ids.new_id()).settled


def test_each_account_has_a_callback_secret_of_its_own(environment: None) -> None:
    secrets = [callback.secret_of(account) for account in (OLD.account_id, NEW.account_id, id_of_name("ann"), "ann")]
    assert len(set(secrets)) == 4


def test_accounts_are_not_shown(approvals: ApprovalStore) -> None:
    request_id = asked_of(approvals, OLD)
    shown = approvals.resolve(request_id, "approve", OLD, ids.new_id()).approval.model_dump_json()
    assert OLD.account_id not in shown


# --- who acted


def test_an_answer_says_for_whom_and_by_whom(approvals: ApprovalStore) -> None:
    put(approvals, approvers=BOARD, required=3)
    answer_oldest(approvals, "ben", "approve", by="boss")
    answered = answer_oldest(approvals, PERSON, "approve")
    assert [(given.username, given.by) for given in answered.answers] == [("ben", "boss"), (PERSON, PERSON)]


def test_an_administrator_counts_once_by_whichever_call(approvals: ApprovalStore) -> None:
    # Given
    request_id = put(approvals, approvers=BOARD, required=3)
    answer_oldest(approvals, "ben", "approve", by="boss")
    # Then neither for another, nor for themselves, nor for the same person once more
    for person in ("cem", "dan", PERSON):
        with pytest.raises(AlreadyAnswered):
            answer_oldest(approvals, person, "approve", by="boss")
    with pytest.raises(AlreadyAnswered):
        answer(approvals, request_id, "approve", None)
    with pytest.raises(AlreadyAnswered):
        answer(approvals, request_id, "approve", "ben")
    seen = approvals.get(request_id).approval
    assert (seen.status, len(seen.answers)) == (Status.PENDING, 1)


def test_who_answered_themselves_answers_for_nobody_else(approvals: ApprovalStore) -> None:
    put(approvals, approvers=BOARD, required=3)
    answer_oldest(approvals, "ben", "approve")
    with pytest.raises(AlreadyAnswered):
        answer_oldest(approvals, "cem", "approve", by="ben")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), required=st.integers(2, 4))
def test_any_order_of_acts_counts_each_person_once(
    approvals: ApprovalStore, mongodb: Mongo, data: st.DataObject, required: int
) -> None:
    # Given
    mongodb.approvals.delete_many({})
    request_id = put(approvals, approvers=BOARD, required=required)
    counted: set[str] = set()
    expected: list[tuple[str, str]] = []
    # When people answer, and two administrators answer for them or for themselves
    for _ in range(data.draw(st.integers(1, 8))):
        person = data.draw(st.sampled_from([PERSON, *BOARD, ""]))
        by = data.draw(st.sampled_from(["boss", "chief"] if not person else [person, "boss", "chief"]))
        pair = (person or by, by)
        try:
            if person:
                answer_oldest(approvals, person, "approve", by=by)
            else:
                approvals.resolve(request_id, "approve", named(by), ids.new_id(), anyone=True)
        except (AlreadyAnswered, AlreadySettled, NothingPending):
            assert counted & set(pair) or len(expected) == required
        else:
            assert not counted & set(pair)
            assert len(expected) < required
            counted.update(pair)
            expected.append(pair)
    # Then
    seen = approvals.get(request_id).approval
    assert [(given.username, given.by) for given in seen.answers] == expected
    assert (seen.status is Status.RESOLVED) == (len(expected) == required)


# --- the order of the server's clock


def test_the_oldest_is_the_oldest_by_the_servers_clock(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given a request of a process whose clock was ahead, and a request made a second later
    made = ["01KZ0000000000000000000002", "01JD0000000000000000000001"]
    for request_id in made:
        approvals.put(request_id, an_approval(), named(CALLER), {PERSON: id_of_name(PERSON)})
    earlier = approvals.get(made[1]).approval.created_at - timedelta(seconds=1)
    mongodb.approvals.update_one({"_id": made[0]}, {"$set": {"createdAt": earlier}})
    # Then lists, pages and the oldest follow the server's clock
    found = listed(approvals, None, None, 9, None)
    assert [approval.request_id for approval in found] == made[::-1]
    rest = listed(approvals, id_of_name(PERSON), None, 9, position(found[0]))
    assert [approval.request_id for approval in rest] == made[:1]
    assert answer_oldest(approvals, PERSON, "approve").request_id == made[0]


def test_requests_of_one_millisecond_are_each_on_one_page(approvals: ApprovalStore, mongodb: Mongo) -> None:
    made = {put(approvals) for _ in range(7)}
    same = approvals.get(min(made)).approval.created_at
    mongodb.approvals.update_many({}, {"$set": {"createdAt": same}})
    read: list[str] = []
    after = None
    while page := listed(approvals, None, None, 2, after):
        read += [approval.request_id for approval in page]
        after = position(page[-1])
    assert read == sorted(made, reverse=True)


# --- requests of earlier versions

ACCOUNT_FIELDS = {"accounts": "", "createdByAccount": "", "escalatedAccounts": ""}


def earlier(approvals: ApprovalStore, mongodb: Mongo) -> str:
    """Store a request as the version before accounts did, with one answer of two."""
    escalation: list[dict[str, Any]] = [{"username": "eve", "afterMs": 1_000}]
    request_id = put(approvals, approvers=BOARD, required=3, escalate_to=escalation)
    answer(approvals, request_id, "approve", "ben")
    mongodb.approvals.update_one(
        {"_id": request_id},
        {"$unset": {**ACCOUNT_FIELDS, "answers.0.by": "", "answers.0.account": "", "answers.0.byAccount": ""}},
    )
    return request_id


def test_a_request_of_an_earlier_version_is_read_before_the_upgrade(approvals: ApprovalStore, mongodb: Mongo) -> None:
    request_id = earlier(approvals, mongodb)
    seen = approvals.get(request_id)
    assert seen.asked == [named(name) for name in (PERSON, *BOARD)]
    assert (seen.created_by, seen.escalation(0)) == (id_of_name(CALLER), named("eve"))
    assert [(given.username, given.by) for given in seen.approval.answers] == [("ben", "ben")]
    admitted = approvals.admit(request_id, named("eve"), 0)
    assert admitted is not None
    assert admitted.asked == [named(name) for name in (PERSON, *BOARD, "eve")]


@pytest.mark.parametrize("admitted", [False, True], ids=["untouched", "escalated meanwhile"])
def test_an_upgraded_request_works_like_a_new_one(approvals: ApprovalStore, mongodb: Mongo, admitted: bool) -> None:
    # Given
    request_id = earlier(approvals, mongodb)
    if admitted:
        approvals.admit(request_id, named("eve"), 0)
    # When
    upgraded = [upgrade(mongodb.approvals), upgrade(mongodb.approvals)]
    # Then
    assert upgraded == [1, 0]
    stored = mongodb.approvals.find_one({"_id": request_id})
    assert stored is not None
    assert stored["answers"][0]["byAccount"] == id_of_name("ben")
    assert stored["escalatedAccounts"] == [id_of_name("eve")]
    assert [approval.request_id for approval in listed(approvals, id_of_name("cem"), None, 9, None)] == [request_id]
    with pytest.raises(AlreadyAnswered):
        answer(approvals, request_id, "approve", "ben")
    assert answer_oldest(approvals, PERSON, "approve").request_id == request_id
    assert cancel(approvals, request_id, CALLER).status is Status.CANCELLED


def test_an_upgrade_drops_the_indexes_that_no_query_uses(mongodb: Mongo) -> None:
    before = mongodb.approvals.index_information().keys()
    mongodb.approvals.create_index([("people", 1), ("_id", -1)])
    upgrade(mongodb.approvals)
    assert mongodb.approvals.index_information().keys() == before
