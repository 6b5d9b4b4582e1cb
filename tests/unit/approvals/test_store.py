import json
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.approvals.errors import ActionNotOffered, AlreadySettled, ApprovalNotFound, NothingPending
from chalicelib.approvals.models import Approval, NewApproval, Status
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.errors import Forbidden
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import id_of_name
from chalicelib.core.stores import clients
from tests.support.waiting import eventually
from tests.unit.approvals.build import (
    CALLER,
    PERSON,
    ago,
    an_approval,
    answer,
    answer_oldest,
    cancel,
    listed,
    position,
    put,
    put_as,
    put_overdue,
)

Mongo = Database[dict[str, Any]]
DAY_MS = 24 * 3_600_000


# --- put and get


def test_a_new_request_is_pending_and_reads_back_unchanged(approvals: ApprovalStore) -> None:
    # Given
    new = an_approval(30_000, title="Pay 5?", body="to Bob", data={"n": 1}, actions=["yes", "no"])
    # When
    seen = put_as(approvals, ids.new_id(), new)
    # Then
    assert approvals.get(seen.approval.request_id).approval == seen.approval
    asked = {"username": PERSON, "title": "Pay 5?", "body": "to Bob", "data": {"n": 1}, "actions": ["yes", "no"]}
    assert seen.approval.model_dump(include=set(asked)) == asked
    assert (seen.approval.status, seen.approval.created_by) == (Status.PENDING, CALLER)
    assert (seen.approval.action, seen.approval.resolved_at, seen.approval.response_ms) == (None, None, None)
    assert seen.approval.expires_at - seen.approval.created_at == timedelta(seconds=30)
    assert seen.remaining_ms == 30_000
    assert not seen.settled


def test_a_repeated_put_keeps_the_first_request(approvals: ApprovalStore) -> None:
    # Given
    request_id = put(approvals, title="first")
    first = approvals.get(request_id).approval
    # When
    again = put_as(approvals, request_id, an_approval(1_000, title="second", username="bob"), "someone else")
    # Then
    assert again.approval == first
    assert approvals.get(request_id).approval == first


def test_a_repeated_put_does_not_reopen_an_answered_request(approvals: ApprovalStore) -> None:
    request_id = put(approvals)
    answered = answer(approvals, request_id, "approve", PERSON)
    assert put_as(approvals, request_id, an_approval()).approval == answered


AWKWARD: dict[str, Any] = {
    "$where": "sleep(1000)",
    "a.b": {"$gt": "", "c.d": [{"$set": {"status": "resolved"}}]},
    "": {"": None},
    "_id": {"$oid": "no"},
    "huge": [2**63, -(2**200), 10**4000],
    "numbers": [0.1, 1e308, -0.0, 5e-324],
    "text": ["$$NOW", "$status", "\x00", "é\u2028\U0001f600"],
    "outbox": True,
    "purgeAt": "$$NOW",
}


def test_data_with_awkward_keys_and_values_reads_back_unchanged(approvals: ApprovalStore) -> None:
    request_id = put(approvals, data=AWKWARD)
    assert approvals.get(request_id).approval.data == AWKWARD
    assert answer(approvals, request_id, "approve", None).data == AWKWARD


def test_deeply_nested_data_reads_back_unchanged(approvals: ApprovalStore) -> None:
    depth = 150
    sent = '{"username": "ann", "data": {"deep": ' + "[" * depth + "]" * depth + "}}"
    new = NewApproval.model_validate_json(sent)
    request_id = put_as(approvals, ids.new_id(), new).approval.request_id
    assert approvals.get(request_id).approval.data == json.loads(sent)["data"]


@pytest.mark.parametrize("text", ["$status", "$$NOW", "$$ROOT", "$", "a\x00b", '{"$gt": ""}'])
def test_text_like_a_mongodb_expression_is_kept_as_text(approvals: ApprovalStore, text: str) -> None:
    # Given
    new = an_approval(title=text, body=text, actions=[text, "x"]).model_copy(update={"username": text})
    request_id = put_as(approvals, ids.new_id(), new, text).approval.request_id
    # When
    answered = answer(approvals, request_id, text, text)
    # Then
    assert (answered.title, answered.body, answered.actions, answered.action) == (text, text, [text, "x"], text)
    assert (answered.username, answered.created_by) == (text, text)
    assert listed(approvals, id_of_name(text), None, 5, None) == [answered]


def test_an_action_like_a_field_path_is_not_evaluated(approvals: ApprovalStore) -> None:
    request_id = put(approvals, username="approve")
    with pytest.raises(ActionNotOffered):
        answer(approvals, request_id, "$username", None)


def test_an_unknown_request_id_is_not_found(approvals: ApprovalStore) -> None:
    unknown = ids.new_id()
    with pytest.raises(ApprovalNotFound):
        approvals.get(unknown)
    with pytest.raises(ApprovalNotFound):
        answer(approvals, unknown, "approve", PERSON)
    with pytest.raises(ApprovalNotFound):
        cancel(approvals, unknown, CALLER)
    with pytest.raises(ApprovalNotFound):
        approvals.expire(unknown)


# --- resolve and cancel


def test_an_answer_settles_the_request(approvals: ApprovalStore) -> None:
    # Given
    request_id = put(approvals)
    # When
    answered = answer(approvals, request_id, "reject", PERSON)
    # Then
    assert (answered.status, answered.action) == (Status.RESOLVED, "reject")
    assert answered.resolved_at is not None
    assert answered.response_ms == (answered.resolved_at - answered.created_at) / timedelta(milliseconds=1)
    assert approvals.get(request_id).approval == answered
    assert approvals.get(request_id).settled


def test_a_cancelled_request_has_no_action(approvals: ApprovalStore) -> None:
    request_id = put(approvals)
    cancelled = cancel(approvals, request_id, CALLER)
    assert (cancelled.status, cancelled.action, cancelled.response_ms) == (Status.CANCELLED, None, None)
    assert cancelled.resolved_at is not None
    assert approvals.get(request_id).approval == cancelled


def test_an_administrator_may_settle_any_request(approvals: ApprovalStore) -> None:
    assert answer(approvals, put(approvals), "approve", None).status is Status.RESOLVED
    assert cancel(approvals, put(approvals), None).status is Status.CANCELLED


def test_an_action_not_offered_leaves_the_request_unchanged(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given
    request_id = put(approvals)
    before = mongodb.approvals.find_one({"_id": request_id})
    # When
    with pytest.raises(ActionNotOffered):
        answer(approvals, request_id, "maybe", PERSON)
    with pytest.raises(ActionNotOffered):
        answer_oldest(approvals, PERSON, "timeout")
    # Then
    assert mongodb.approvals.find_one({"_id": request_id}) == before
    assert answer(approvals, request_id, "approve", PERSON).status is Status.RESOLVED


def test_another_persons_request_is_forbidden_and_stays_pending(approvals: ApprovalStore) -> None:
    request_id = put(approvals)
    with pytest.raises(Forbidden):
        answer(approvals, request_id, "approve", "bob")
    with pytest.raises(Forbidden):
        cancel(approvals, request_id, PERSON)
    assert not approvals.get(request_id).settled


@pytest.mark.parametrize("settle", ["resolve", "cancel"])
def test_a_second_outcome_raises_already_settled(approvals: ApprovalStore, settle: str) -> None:
    # Given
    request_id = put(approvals)
    first = (
        answer(approvals, request_id, "approve", None) if settle == "resolve" else cancel(approvals, request_id, None)
    )
    # Then
    with pytest.raises(AlreadySettled):
        answer(approvals, request_id, "reject", PERSON)
    with pytest.raises(AlreadySettled):
        answer(approvals, request_id, "approve", PERSON)
    with pytest.raises(AlreadySettled):
        cancel(approvals, request_id, CALLER)
    assert approvals.get(request_id).approval == first


def test_a_settled_request_is_forbidden_to_strangers(approvals: ApprovalStore) -> None:
    request_id = put(approvals)
    answer(approvals, request_id, "approve", PERSON)
    with pytest.raises(Forbidden):
        answer(approvals, request_id, "approve", "bob")


# --- the oldest of a user


def test_the_oldest_pending_request_is_answered_first(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given
    put_overdue(approvals, mongodb.approvals)
    put(approvals, username="bob")
    gone = put(approvals)
    cancel(approvals, gone, None)
    first, second = put(approvals), put(approvals)
    # Then
    assert answer_oldest(approvals, PERSON, "approve").request_id == first
    assert answer_oldest(approvals, PERSON, "reject").request_id == second
    with pytest.raises(NothingPending):
        answer_oldest(approvals, PERSON, "approve")


def test_an_action_not_offered_by_the_oldest_answers_no_request(approvals: ApprovalStore) -> None:
    first, second = put(approvals, actions=["yes"]), put(approvals, actions=["approve"])
    with pytest.raises(ActionNotOffered):
        answer_oldest(approvals, PERSON, "approve")
    assert not approvals.get(first).settled
    assert not approvals.get(second).settled


# --- timeouts


def test_a_list_records_a_timeout_before_showing_it(approvals: ApprovalStore, mongodb: Mongo) -> None:
    request_id = put_overdue(approvals, mongodb.approvals)
    (found,) = listed(approvals, None, Status.TIMEOUT, 10, None)
    assert (found.request_id, found.status) == (request_id, Status.TIMEOUT)
    stored = mongodb.approvals.find_one({"_id": request_id})
    assert stored is not None
    assert (stored["status"], [mark["effect"] for mark in stored["outbox"]]) == ("timeout", ["tell"])


def test_get_persists_a_timeout_before_returning_it(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given
    request_id = put_overdue(approvals, mongodb.approvals)
    # When
    seen = approvals.get(request_id)
    # Then
    assert seen.settled
    assert seen.remaining_ms < 0
    assert (seen.approval.status, seen.approval.action) == (Status.TIMEOUT, "timeout")
    assert (seen.approval.resolved_at, seen.approval.response_ms) == (seen.approval.expires_at, None)
    stored = mongodb.approvals.find_one({"_id": request_id})
    assert stored is not None
    # So a late-arriving answer cannot contradict the timeout.
    assert (stored["status"], [mark["effect"] for mark in stored["outbox"]]) == ("timeout", ["tell"])


def test_recording_a_timeout_changes_nothing_for_readers(approvals: ApprovalStore, mongodb: Mongo) -> None:
    request_id = put_overdue(approvals, mongodb.approvals)
    (before,) = listed(approvals, None, None, 10, None)
    assert approvals.expire(request_id).approval == before
    assert approvals.get(request_id).approval == before
    assert approvals.settled(request_id) is not None


def test_an_overdue_request_is_neither_answered_nor_cancelled(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given
    request_id = put_overdue(approvals, mongodb.approvals)
    # Then
    with pytest.raises(AlreadySettled):
        answer(approvals, request_id, "approve", PERSON)
    with pytest.raises(AlreadySettled):
        cancel(approvals, request_id, CALLER)
    with pytest.raises(NothingPending):
        answer_oldest(approvals, PERSON, "approve")
    assert approvals.get(request_id).approval.status is Status.TIMEOUT


def test_a_request_in_time_does_not_expire(approvals: ApprovalStore) -> None:
    request_id = put(approvals)
    assert not approvals.expire(request_id).settled
    assert approvals.expire_all() == 0
    assert approvals.settled(request_id) is None


def test_the_sweep_records_every_overdue_request_once(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given
    overdue = [put_overdue(approvals, mongodb.approvals) for _ in range(3)]
    in_time, answered = put(approvals), put(approvals)
    answer(approvals, answered, "approve", None)
    # When
    recorded = [approvals.expire_all(), approvals.expire_all()]
    # Then
    assert recorded == [3, 0]
    assert all(approvals.settled(request_id) for request_id in overdue)
    assert approvals.settled(in_time) is None
    assert approvals.get(answered).approval.status is Status.RESOLVED


def test_an_outcome_in_time_stands_after_the_deadline(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given
    answered, cancelled = put(approvals), put(approvals)
    before = [answer(approvals, answered, "approve", PERSON).status, cancel(approvals, cancelled, CALLER).status]
    # When
    mongodb.approvals.update_many({}, {"$set": {"expiresAt": ago(seconds=1)}})
    swept = approvals.expire_all()
    after = [approvals.expire(request_id).approval.status for request_id in (answered, cancelled)]
    # Then
    assert swept == 0
    assert after == before == [Status.RESOLVED, Status.CANCELLED]


def test_settled_returns_settled_requests_only(approvals: ApprovalStore) -> None:
    request_id = put(approvals)
    assert approvals.settled(request_id) is None
    answered = answer(approvals, request_id, "approve", PERSON)
    seen = approvals.settled(request_id)
    assert seen is not None
    assert seen.approval == answered


# --- effects


@pytest.mark.parametrize("outcome", ["resolved", "cancelled", "timeout"])
def test_an_outcome_writes_its_effects_to_the_outbox(approvals: ApprovalStore, mongodb: Mongo, outcome: str) -> None:
    # Given
    hook = "https://example.com/hook"
    overdue = partial(put_overdue, collection=mongodb.approvals) if outcome == "timeout" else put
    request_id = overdue(approvals, callback_url=hook)
    # When
    {
        "resolved": lambda: answer(approvals, request_id, "approve", None),
        "cancelled": lambda: cancel(approvals, request_id, None),
        "timeout": approvals.expire_all,
    }[outcome]()
    # Then
    stored = mongodb.approvals.find_one({"_id": request_id})
    assert stored is not None
    assert (stored["status"], [mark["effect"] for mark in stored["outbox"]]) == (outcome, ["callback", "tell"])


def test_the_status_and_its_outbox_entry_are_one_update(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given
    request_id = put(approvals, callback_url="https://example.com/hook")
    with mongodb.approvals.watch() as changes:
        # When
        answer(approvals, request_id, "approve", None)
        change = changes.next()
    # Then
    assert change["operationType"] in {"update", "replace"}
    after = change.get("fullDocument") or change["updateDescription"]["updatedFields"]
    # MongoDB names the changed elements of an array, or the array.
    entries = [name for name in after if name.partition(".")[0] == "outbox"]
    assert (after["status"], bool(entries), "readableUntil" in after) == ("resolved", True, True)


def test_internal_fields_are_not_shown(approvals: ApprovalStore) -> None:
    shown = answer(approvals, put(approvals), "approve", None).model_dump_json()
    assert not {"outbox", "purgeAt", "_id", "remainingMs"} & json.loads(shown).keys()


# --- kept for a day


@pytest.mark.parametrize("outcome", ["resolved", "cancelled", "timeout", "pending"])
def test_a_request_is_readable_for_a_day_after_it_left_pending(
    approvals: ApprovalStore, mongodb: Mongo, outcome: str
) -> None:
    # Given
    request_id = put_overdue(approvals, mongodb.approvals) if outcome == "timeout" else put(approvals)
    # When
    if outcome == "resolved":
        answer(approvals, request_id, "approve", None)
    elif outcome == "cancelled":
        cancel(approvals, request_id, None)
    approvals.expire_all()
    # Then
    stored = mongodb.approvals.find_one({"_id": request_id})
    assert stored is not None
    left = stored["resolvedAt"] or stored["expiresAt"]
    assert stored["readableUntil"] - left == timedelta(milliseconds=DAY_MS)


def test_a_request_past_its_purge_time_is_not_served(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given
    request_id, overdue = put(approvals), put_overdue(approvals, mongodb.approvals)
    answer(approvals, request_id, "approve", PERSON)
    mongodb.approvals.update_many({}, {"$set": {"purgeAt": ago(seconds=1)}})
    # Then
    for gone in (request_id, overdue):
        with pytest.raises(ApprovalNotFound):
            approvals.get(gone)
        with pytest.raises(ApprovalNotFound):
            answer(approvals, gone, "approve", PERSON)
        with pytest.raises(ApprovalNotFound):
            cancel(approvals, gone, CALLER)
    assert all(
        listed(approvals, name, status, 9, None) == []
        for name in (None, id_of_name(PERSON))
        for status in (None, *Status)
    )
    assert mongodb.approvals.count_documents({}) == 2


def test_the_ttl_index_removes_requests_past_their_purge_time(approvals: ApprovalStore, mongodb: Mongo) -> None:
    # Given
    kept, gone = put(approvals), put(approvals)
    mongodb.approvals.update_one({"_id": gone}, {"$set": {"purgeAt": ago(seconds=1)}})
    # When
    admin = clients.mongodb().client.admin
    admin.command("setParameter", 1, ttlMonitorEnabled=True)
    try:
        eventually(lambda: mongodb.approvals.count_documents({"_id": gone}) == 0)
    finally:
        admin.command("setParameter", 1, ttlMonitorEnabled=False)
    # Then
    assert approvals.get(kept).approval.status is Status.PENDING


# --- pages


def test_pages_are_newest_first_and_follow_each_other(approvals: ApprovalStore) -> None:
    # Given
    made = [put(approvals, username=name) for name in ("ann", "bob") * 4]
    # When
    read: list[Approval] = []
    while page := listed(approvals, None, None, 3, position(read[-1]) if read else None):
        read += page
    # Then
    assert [approval.request_id for approval in read] == made[::-1]
    assert [a.request_id for a in listed(approvals, id_of_name("ann"), None, 9, None)] == made[::-1][1::2]
    assert [a.request_id for a in listed(approvals, id_of_name("ann"), None, 1, position(read[-3]))] == [made[0]]


@pytest.mark.parametrize("recorded", [False, True], ids=["unrecorded", "recorded"])
def test_each_request_is_listed_under_its_shown_status_alone(
    approvals: ApprovalStore, mongodb: Mongo, recorded: bool
) -> None:
    # Given
    pending, answered, cancelled = put(approvals), put(approvals), put(approvals)
    answer(approvals, answered, "approve", PERSON)
    cancel(approvals, cancelled, CALLER)
    overdue = put_overdue(approvals, mongodb.approvals)
    if recorded:
        approvals.expire_all()
    # When
    found = {
        (name, status): [
            (a.request_id, a.status) for a in listed(approvals, name and id_of_name(name), status, 9, None)
        ]
        for name in (None, PERSON, "bob")
        for status in Status
    }
    # Then
    expected = zip(Status, (pending, answered, overdue, cancelled), strict=True)
    for status, request_id in expected:
        assert found[None, status] == found[PERSON, status] == [(request_id, status)]
        assert found["bob", status] == []
    shown = Counter(approval.status for approval in listed(approvals, None, None, 9, None))
    assert shown == dict.fromkeys(Status, 1)
