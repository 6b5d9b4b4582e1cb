"""The truth: one winner per version, no version twice, nothing lost, and an operation that comes twice known again."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.errors import GuardedRefused, LockLost
from chalicelib.core.errors import ServiceError
from chalicelib.core.records.errors import NotInThisState, RecordExists, RecordNotFound, RecordTooLarge, VersionConflict
from chalicelib.core.records.models import Change, Doc, Record, State, key
from chalicelib.core.records.store import Records
from chalicelib.core.runtime import logs
from chalicelib.core.stores import clients
from chalicelib.core.stores.dynamodb import Table
from tests.support.concurrency import race
from tests.unit.core.records.build import NOTE, TOO_MANY, changed, made, removed

KIND = NOTE.name


def _versions(outcomes: list[Record | ServiceError]) -> list[int]:
    return [outcome.version for outcome in outcomes if isinstance(outcome, Record)]


# --- create, get and get_including_deleted


def test_a_new_record_has_version_1_and_comes_back_as_it_was_made(records: Records) -> None:
    doc: Doc = {"title": "$set", "a.b": [1, {"c": None}], "big": 2**70, "share": 0.1, "#f0": ":v0", "size": "é"}
    record = records.create(KIND, "n-1", doc, by="ann", operation="make")
    assert records.get(KIND, "n-1") == record
    assert (record.version, record.doc, record.operation, record.made) == (1, doc, "make", "make")
    assert (record.created_by, record.updated_by) == ("ann", "ann")
    assert record.created_at == record.updated_at
    assert record.created


def test_what_never_was_is_not_found(records: Records) -> None:
    with pytest.raises(RecordNotFound):
        records.get(KIND, "n-1")
    assert records.get_including_deleted(KIND, "n-1") is None


def test_kinds_and_ids_are_kept_apart(records: Records) -> None:
    made(records, "1")
    with pytest.raises(RecordNotFound):
        records.get("memo", "1")
    with pytest.raises(RecordNotFound):
        records.get(KIND, "2")


def test_of_50_created_at_once_under_one_id_one_is_made(records: Records, shown: list[Record]) -> None:
    outcomes = race([lambda n=n: made(records, operation=f"make-{n}", title=str(n)) for n in range(50)])  # type: ignore[misc]
    (winner,) = (outcome for outcome in outcomes if isinstance(outcome, Record))
    assert sum(isinstance(outcome, RecordExists) for outcome in outcomes) == 49
    assert records.get(KIND, "n-1") == winner
    assert (winner.version, shown) == (1, [winner])


def test_whoever_comes_too_late_is_told_what_is_there(records: Records) -> None:
    made(records)
    changed(records, 1, {"title": "Second"}, operation="change")
    with pytest.raises(RecordExists) as refused:
        made(records, operation="make another")
    assert refused.value.members() == {"currentVersion": 2, "updatedBy": "bob"}


def test_creating_again_under_the_same_operation_answers_the_same(records: Records, shown: list[Record]) -> None:
    record = made(records)
    assert made(records) == record
    assert shown == [record, record]


def test_creating_again_answers_what_others_have_made_of_it_and_changes_nothing(records: Records) -> None:
    made(records)
    second = changed(records, 1, {"title": "Second"}, operation="change")
    assert made(records) == second
    assert records.get(KIND, "n-1") == second


def test_a_record_made_anew_goes_on_with_its_versions(records: Records) -> None:
    # Given
    made(records, left="over")
    removed(records, 1, "remove")
    # When
    anew = made(records, operation="make anew", title="Anew")
    # Then
    assert (anew.version, anew.doc, anew.deleted, anew.created) == (3, {"title": "Anew"}, False, True)
    assert records.get(KIND, "n-1") == anew


def test_of_many_made_anew_at_once_one_is(records: Records) -> None:
    made(records)
    removed(records, 1, "remove")
    outcomes = race([lambda n=n: made(records, operation=f"anew-{n}") for n in range(30)])  # type: ignore[misc]
    assert _versions(outcomes) == [3]


def test_a_create_that_arrives_late_does_not_bring_back_what_was_deleted(records: Records, shown: list[Record]) -> None:
    # Given
    made(records)
    gone = removed(records, 1, "remove")
    shown.clear()
    # When the first request comes once more
    with pytest.raises(RecordExists):
        made(records)
    # Then
    assert records.get_including_deleted(KIND, "n-1") == gone
    assert shown == []


def test_a_document_that_is_too_large_is_not_made(records: Records) -> None:
    with pytest.raises(RecordTooLarge):
        made(records, text="x" * TOO_MANY)
    assert records.get_including_deleted(KIND, "n-1") is None


# --- commit


def test_a_change_replaces_its_fields_and_leaves_the_others(records: Records) -> None:
    # Given
    first = made(records, title="First", stays={"a": 1}, goes=[1, 2])
    # When
    second = changed(records, 1, {"title": "Second", "goes": {"b": None}, "comes": False}, operation="change")
    # Then
    assert second.doc == {"title": "Second", "stays": {"a": 1}, "goes": {"b": None}, "comes": False}
    assert (second.version, second.updated_by, second.operation) == (2, "bob", "change")
    assert (second.created_by, second.created_at, second.made) == ("ann", first.created_at, "make")
    assert not second.created
    assert records.get(KIND, "n-1") == second


def test_of_100_at_once_with_one_version_one_wins_and_all_others_are_told_who(
    records: Records, shown: list[Record]
) -> None:
    # Given
    made(records)
    shown.clear()

    def change(number: int) -> Callable[[], Record]:
        by = f"user-{number}"
        return lambda: changed(records, 1, {f"field-{number}": number}, by=by, operation=f"change-{number}")

    # When
    outcomes = race([change(number) for number in range(100)])
    # Then
    (winner,) = (outcome for outcome in outcomes if isinstance(outcome, Record))
    conflicts = [outcome for outcome in outcomes if isinstance(outcome, VersionConflict)]
    assert len(conflicts) == 99
    told = {"currentVersion": 2, "updatedBy": winner.updated_by}
    assert all(conflict.members() == told for conflict in conflicts)
    assert shown == [winner]
    assert records.get(KIND, "n-1") == winner


def test_of_many_that_mean_no_version_all_are_made_and_no_version_comes_twice(records: Records) -> None:
    made(records)
    outcomes = race(
        [lambda n=n: changed(records, None, {f"field-{n}": n}, operation=f"change-{n}") for n in range(40)]  # type: ignore[misc]
    )
    assert sorted(_versions(outcomes)) == list(range(2, 42))
    assert records.get(KIND, "n-1").doc == {"title": "First"} | {f"field-{n}": n for n in range(40)}


@pytest.mark.parametrize("expected", [1, 3])
def test_another_version_than_was_expected_is_a_conflict(records: Records, expected: int) -> None:
    made(records)
    second = changed(records, 1, {"title": "Second"}, operation="change")
    with pytest.raises(VersionConflict) as refused:
        changed(records, expected, {"title": "Third"}, operation="another")
    assert refused.value.current == second
    assert refused.value.members() == {"currentVersion": 2, "updatedBy": "bob"}
    assert records.get(KIND, "n-1") == second


@pytest.mark.parametrize("expected", [1, None])
def test_a_change_whose_answer_was_lost_is_known_again(
    records: Records, shown: list[Record], expected: int | None
) -> None:
    made(records)
    second = changed(records, expected, {"title": "Second"}, operation="change")
    assert changed(records, expected, {"title": "Second"}, operation="change") == second
    assert records.get(KIND, "n-1") == second
    # It may be that it died before it was shown.
    assert shown[-2:] == [second, second]


def test_a_change_that_was_followed_by_another_is_a_conflict_when_it_is_made_again(records: Records) -> None:
    made(records)
    changed(records, 1, {"title": "Second"}, operation="change")
    third = changed(records, 2, {"title": "Third"}, operation="another")
    with pytest.raises(VersionConflict) as refused:
        changed(records, 1, {"title": "Second"}, operation="change")
    assert refused.value.current == third
    assert records.get(KIND, "n-1") == third


@pytest.mark.parametrize("expected", [1, 2, None])
def test_what_is_not_there_cannot_be_changed(records: Records, expected: int | None) -> None:
    with pytest.raises(RecordNotFound):
        changed(records, expected, {"title": "Second"}, operation="change")
    made(records)
    gone = removed(records, 1, "remove")
    with pytest.raises(RecordNotFound):
        changed(records, expected, {"title": "Second"}, operation="change")
    assert records.get_including_deleted(KIND, "n-1") == gone


STATES: list[State] = [{"status": ["draft", "open"]}, {"status": ["done"], "owner": ["ann", None]}]


def _change_where(records: Records, where: list[State], expected: int | None = None) -> Record:
    return records.commit(KIND, Change("n-1", expected, {"title": "Second"}, where), by="bob", operation="change")


@pytest.mark.parametrize(
    ("doc", "allowed"),
    [
        ({"status": "draft"}, True),
        ({"status": "open", "owner": "eve"}, True),
        ({"status": "done", "owner": "ann"}, True),
        ({"status": "done", "owner": None}, True),
        ({"status": "done", "owner": "eve"}, False),
        ({"status": "done"}, False),
        ({"status": "other", "owner": "ann"}, False),
        ({"owner": "ann"}, False),
        ({"status": ["draft"]}, False),
    ],
)
@pytest.mark.parametrize("expected", [1, None])
def test_a_change_is_made_where_one_of_its_states_holds(
    records: Records, doc: Doc, allowed: bool, expected: int | None
) -> None:
    first = made(records, **doc)
    if allowed:
        assert _change_where(records, STATES, expected).doc == {**doc, "title": "Second"}
    else:
        with pytest.raises(NotInThisState) as refused:
            _change_where(records, STATES, expected)
        assert refused.value.current == first
        assert records.get(KIND, "n-1") == first


def test_whoever_means_another_version_is_told_so_before_the_state_it_is_in(records: Records) -> None:
    made(records, status="other")
    with pytest.raises(VersionConflict):
        _change_where(records, STATES, 2)


def test_a_move_whose_answer_was_lost_is_known_again_though_its_state_is_past(records: Records) -> None:
    made(records, status="draft")
    change = Change("n-1", None, {"status": "closed"}, [{"status": ["draft"]}])
    first, again = (records.commit(KIND, change, by="bob", operation="move") for _ in range(2))
    assert first == again
    with pytest.raises(NotInThisState):
        records.commit(KIND, change, by="bob", operation="another move")


def test_a_change_that_is_too_large_is_not_made(records: Records, shown: list[Record]) -> None:
    first = made(records)
    shown.clear()
    with pytest.raises(RecordTooLarge):
        changed(records, 1, {"more": "y" * TOO_MANY}, operation="change")
    assert records.get(KIND, "n-1") == first
    assert shown == []


def test_a_change_that_is_too_large_together_with_what_is_there_is_refused_as_such(records: Records) -> None:
    made(records, text="x" * 300_000)
    with pytest.raises(RecordTooLarge):
        changed(records, 1, {"more": "y" * 120_000}, operation="change")


def test_another_refusal_of_dynamodb_is_a_fault(dynamodb: Any) -> None:
    nowhere = Records(Table(dynamodb, "no-such-table"), lambda _: None)
    with pytest.raises(ClientError):
        changed(nowhere, 1, {}, operation="change")


# --- commit_all


def test_of_many_changes_each_has_its_own_outcome_in_their_order(records: Records, shown: list[Record]) -> None:
    # Given
    for record_id in ("a", "b", "c", "d"):
        made(records, record_id, status="draft")
    removed(records, 1, "remove", "c")
    shown.clear()
    changes = [
        Change("missing", None, {"n": 0}),
        Change("b", 2, {"n": 1}),
        Change("a", 1, {"n": 2}),
        Change("c", None, {"n": 3}),
        Change("d", None, {"n": 4}, [{"status": ["done"]}]),
        Change("e", 1, {"n": "x" * TOO_MANY}),
    ]
    # When
    outcomes = records.commit_all(KIND, changes, by="bob", operation="change")
    # Then
    assert [type(outcome) for outcome in outcomes] == [
        RecordNotFound,
        VersionConflict,
        Record,
        RecordNotFound,
        NotInThisState,
        RecordTooLarge,
    ]
    assert shown == [outcomes[2]] == [records.get(KIND, "a")]
    assert [records.get(KIND, record_id).version for record_id in ("b", "d")] == [1, 1]


def test_many_changes_made_again_are_known_again(records: Records) -> None:
    for number in range(25):
        made(records, f"n-{number}")
    changes = [Change(f"n-{number}", 1 if number % 2 else None, {"n": number}) for number in range(25)]
    first, again = (records.commit_all(KIND, changes, by="bob", operation="change") for _ in range(2))
    assert first == again
    assert _versions(first) == [2] * 25
    assert [outcome.doc["n"] for outcome in first if isinstance(outcome, Record)] == list(range(25))


def test_no_changes_have_no_outcomes(records: Records) -> None:
    assert records.commit_all(KIND, [], by="bob", operation="change") == []


def test_what_many_changes_cost_is_their_callers(records: Records) -> None:
    for record_id in ("a", "b", "c"):
        made(records, record_id)
    with logs.invocation("test") as line:
        records.commit_all(KIND, [Change(one, 1, {}) for one in ("a", "b", "c")], by="bob", operation="change")
    assert line.round_trips == 3


# --- remove


def test_a_deleted_record_leaves_its_next_version_and_no_document(records: Records, shown: list[Record]) -> None:
    made(records)
    gone = removed(records, 1, "remove")
    assert (gone.version, gone.deleted, gone.doc, gone.updated_by, gone.created_by) == (2, True, {}, "eve", "ann")
    assert not gone.created
    with pytest.raises(RecordNotFound):
        records.get(KIND, "n-1")
    assert records.get_including_deleted(KIND, "n-1") == gone == shown[-1]


def test_of_many_that_delete_or_change_at_once_one_wins(records: Records) -> None:
    made(records)
    deletes = [lambda n=n: removed(records, 1, f"remove-{n}") for n in range(20)]
    changes = [lambda n=n: changed(records, 1, {"n": n}, operation=f"change-{n}") for n in range(20)]
    outcomes = race(deletes + changes)
    assert _versions(outcomes) == [2]
    assert {type(outcome) for outcome in outcomes} <= {Record, VersionConflict, RecordNotFound}


@pytest.mark.parametrize("expected", [1, None])
def test_a_deletion_whose_answer_was_lost_is_known_again(records: Records, expected: int | None) -> None:
    made(records)
    gone = removed(records, expected, "remove")
    assert removed(records, expected, "remove") == gone
    with pytest.raises(RecordNotFound):
        removed(records, expected, "remove again")
    assert records.get_including_deleted(KIND, "n-1") == gone


def test_what_is_not_as_it_was_expected_is_not_deleted(records: Records) -> None:
    first = made(records, status="paid")
    with pytest.raises(VersionConflict):
        removed(records, 2, "remove")
    with pytest.raises(NotInThisState):
        records.remove(KIND, "n-1", None, by="eve", operation="remove", where=[{"status": ["draft"]}])
    with pytest.raises(RecordNotFound):
        removed(records, None, "remove", "never was")
    assert records.get(KIND, "n-1") == first
    assert records.remove(KIND, "n-1", 1, by="eve", operation="remove", where=[{"status": ["paid"]}]).deleted


# --- update_with_retry


def _count(doc: Doc) -> Doc:
    return {"count": doc["count"] + 1}


def _counted(records: Records, operation: str, change: Callable[[Doc], Doc] = _count, attempts: int = 5) -> Record:
    return records.update_with_retry(KIND, "n-1", change, by="bob", operation=operation, attempts=attempts)


def test_of_many_that_add_at_once_every_one_is_added(records: Records) -> None:
    made(records, count=0)
    outcomes = race([lambda n=n: _counted(records, f"count-{n}", attempts=50) for n in range(20)])  # type: ignore[misc]
    assert sorted(_versions(outcomes)) == list(range(2, 22))
    assert records.get(KIND, "n-1").doc == {"count": 20}


def test_a_change_is_asked_anew_for_each_state_it_meets_and_nothing_is_read_twice(records: Records) -> None:
    # Given somebody who is twice faster
    made(records, count=0)
    seen: list[int] = []

    def overtaken(doc: Doc) -> Doc:
        seen.append(doc["count"])
        if len(seen) < 3:
            changed(records, None, {"count": 10 * len(seen)}, operation=f"faster-{len(seen)}")
        return _count(doc)

    # When
    with logs.invocation("test") as line:
        record = _counted(records, "count", overtaken, attempts=3)
    # Then
    assert seen == [0, 10, 20]
    assert (record.doc, record.version) == ({"count": 21}, 4)
    # Of six, two were the other's.
    assert line.round_trips - 2 == 4


def test_whoever_is_overtaken_too_often_is_told(records: Records) -> None:
    made(records, count=0)
    asked = []

    def overtaken(doc: Doc) -> Doc:
        asked.append(doc["count"])
        changed(records, None, {"count": -1}, operation=f"faster-{len(asked)}")
        return _count(doc)

    with pytest.raises(VersionConflict):
        _counted(records, "count", overtaken, attempts=2)
    assert len(asked) == 2
    assert records.get(KIND, "n-1").doc == {"count": -1}


def test_what_is_deleted_meanwhile_is_not_changed(records: Records) -> None:
    made(records, count=0)

    def too_late(doc: Doc) -> Doc:
        removed(records, 1, "remove")
        return _count(doc)

    with pytest.raises(RecordNotFound):
        _counted(records, "count", too_late)


def test_a_change_asked_for_no_attempt_is_a_fault(records: Records) -> None:
    made(records, count=0)
    with pytest.raises(ValueError, match="attempts"):
        _counted(records, "count", attempts=0)


# --- prepare


def test_a_prepared_write_makes_the_state_that_it_says(records: Records) -> None:
    record = made(records, title="First", stays=1)
    prepared = records.prepare(record, {"title": "Second"}, by="bob", operation="change")
    assert records.get(KIND, "n-1") == record
    clients.table("records").transact([prepared.write])
    assert records.get(KIND, "n-1") == prepared.record
    assert (prepared.record.version, prepared.record.doc) == (2, {"title": "Second", "stays": 1})


def test_a_prepared_write_is_made_together_with_others_under_a_lock(records: Records) -> None:
    # Given
    record, other = made(records, "a"), made(records, "b")
    prepared = [records.prepare(one, {"paid": True}, by="bob", operation="pay") for one in (record, other)]
    locks = coordination_wiring.locks()
    lease = locks.acquire("pay", 10_000, 0)
    # When the lock is lost, nothing is written
    locks.break_("pay")
    with pytest.raises(LockLost):
        locks.guarded(lease, [one.write for one in prepared])
    assert records.get(KIND, "a") == record
    # Then under a lock that is held, both are
    locks.guarded(locks.acquire("pay", 10_000, 0), [one.write for one in prepared])
    assert [records.get(KIND, "a"), records.get(KIND, "b")] == [one.record for one in prepared]


def test_a_prepared_write_is_refused_where_its_record_moved_on(records: Records) -> None:
    # Given
    record, other = made(records, "a"), made(records, "b")
    prepared = [records.prepare(one, {"paid": True}, by="bob", operation="pay") for one in (record, other)]
    changed(records, 1, {"title": "Second"}, record_id="b", operation="change")
    # When
    locks = coordination_wiring.locks()
    with pytest.raises(GuardedRefused):
        locks.guarded(locks.acquire("pay", 10_000, 0), [one.write for one in prepared])
    # Then neither was made
    assert records.get(KIND, "a") == record
    assert records.get(KIND, "b").version == 2


@pytest.mark.parametrize(("status", "written"), [("draft", True), ("paid", False)])
def test_a_prepared_write_demands_its_states(records: Records, status: str, written: bool) -> None:
    record = made(records, status=status)
    prepared = records.prepare(record, {"n": 1}, by="bob", operation="pay", where=[{"status": ["draft"]}])
    locks = coordination_wiring.locks()
    lease = locks.acquire("pay", 10_000, 0)
    if written:
        locks.guarded(lease, [prepared.write])
    else:
        with pytest.raises(GuardedRefused):
            locks.guarded(lease, [prepared.write])
    assert records.get(KIND, "n-1").version == (2 if written else 1)


# --- batch_get and walk


def test_those_that_exist_are_known_also_when_they_were_deleted(records: Records) -> None:
    made(records, "a")
    made(records, "b")
    removed(records, 1, "remove", "b")
    found = records.batch_get([key(KIND, record_id) for record_id in ("a", "b", "c")])
    assert {item["pk"] for item in found} == {"note#a", "note#b"}


def test_a_walk_sees_every_record_once(records: Records) -> None:
    ids = {f"n-{number}" for number in range(12)}
    for record_id in ids:
        made(records, record_id)
    seen: list[Any] = []
    items, after = records.walk("", 5)
    while after:
        assert len(items) <= 5
        seen += items
        assert len(seen) <= len(ids)
        items, after = records.walk(after, 5)
    seen += items
    assert sorted(item["pk"] for item in seen) == sorted(key(KIND, record_id) for record_id in ids)
