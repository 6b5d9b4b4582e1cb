"""The system of record: one winner per version, no version twice or lost, repeated operations recognised."""

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


def test_new_record_has_version_1_and_is_read_as_made(records: Records) -> None:
    doc: Doc = {"title": "$set", "a.b": [1, {"c": None}], "big": 2**70, "share": 0.1, "#f0": ":v0", "size": "é"}
    record = records.create(KIND, "n-1", doc, by="ann", operation="make")
    assert records.get(KIND, "n-1") == record
    assert (record.version, record.doc, record.operation, record.made) == (1, doc, "make", "make")
    assert (record.created_by, record.updated_by) == ("ann", "ann")
    assert record.created_at == record.updated_at
    assert record.created


def test_record_never_made_is_not_found(records: Records) -> None:
    with pytest.raises(RecordNotFound):
        records.get(KIND, "n-1")
    assert records.get_including_deleted(KIND, "n-1") is None


def test_kinds_and_ids_are_kept_apart(records: Records) -> None:
    made(records, "1")
    with pytest.raises(RecordNotFound):
        records.get("memo", "1")
    with pytest.raises(RecordNotFound):
        records.get(KIND, "2")


def test_of_50_concurrent_creates_of_one_id_one_succeeds(records: Records, shown: list[Record]) -> None:
    outcomes = race([lambda n=n: made(records, operation=f"make-{n}", title=str(n)) for n in range(50)])  # type: ignore[misc]
    (winner,) = (outcome for outcome in outcomes if isinstance(outcome, Record))
    assert sum(isinstance(outcome, RecordExists) for outcome in outcomes) == 49
    assert records.get(KIND, "n-1") == winner
    assert (winner.version, shown) == (1, [winner])


def test_refused_create_names_the_current_version_and_editor(records: Records) -> None:
    made(records)
    changed(records, 1, {"title": "Second"}, operation="change")
    with pytest.raises(RecordExists) as refused:
        made(records, operation="make another")
    assert refused.value.members() == {"currentVersion": 2, "updatedBy": "bob"}


def test_create_repeated_under_its_operation_returns_the_record(records: Records, shown: list[Record]) -> None:
    record = made(records)
    assert made(records) == record
    assert shown == [record, record]


def test_create_repeated_after_an_edit_returns_the_edited_record(records: Records) -> None:
    made(records)
    second = changed(records, 1, {"title": "Second"}, operation="change")
    assert made(records) == second
    assert records.get(KIND, "n-1") == second


def test_record_made_anew_continues_its_versions(records: Records) -> None:
    # Given
    made(records, left="over")
    removed(records, 1, "remove")
    # When
    anew = made(records, operation="make anew", title="Anew")
    # Then
    assert (anew.version, anew.doc, anew.deleted, anew.created) == (3, {"title": "Anew"}, False, True)
    assert records.get(KIND, "n-1") == anew


def test_of_many_concurrent_recreations_one_succeeds(records: Records) -> None:
    made(records)
    removed(records, 1, "remove")
    outcomes = race([lambda n=n: made(records, operation=f"anew-{n}") for n in range(30)])  # type: ignore[misc]
    assert _versions(outcomes) == [3]


def test_late_create_does_not_restore_a_deleted_record(records: Records, shown: list[Record]) -> None:
    # Given
    made(records)
    gone = removed(records, 1, "remove")
    shown.clear()
    # When the first request arrives once more
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


def test_of_100_edits_of_one_version_one_wins_and_is_named_to_others(records: Records, shown: list[Record]) -> None:
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


def test_concurrent_edits_of_any_version_all_succeed_once_each(records: Records) -> None:
    made(records)
    outcomes = race(
        [lambda n=n: changed(records, None, {f"field-{n}": n}, operation=f"change-{n}") for n in range(40)]  # type: ignore[misc]
    )
    assert sorted(_versions(outcomes)) == list(range(2, 42))
    assert records.get(KIND, "n-1").doc == {"title": "First"} | {f"field-{n}": n for n in range(40)}


@pytest.mark.parametrize("expected", [1, 3])
def test_edit_of_another_version_is_a_conflict(records: Records, expected: int) -> None:
    made(records)
    second = changed(records, 1, {"title": "Second"}, operation="change")
    with pytest.raises(VersionConflict) as refused:
        changed(records, expected, {"title": "Third"}, operation="another")
    assert refused.value.current == second
    assert refused.value.members() == {"currentVersion": 2, "updatedBy": "bob"}
    assert records.get(KIND, "n-1") == second


@pytest.mark.parametrize("expected", [1, None])
def test_edit_repeated_after_a_lost_answer_is_recognised(
    records: Records, shown: list[Record], expected: int | None
) -> None:
    made(records)
    second = changed(records, expected, {"title": "Second"}, operation="change")
    assert changed(records, expected, {"title": "Second"}, operation="change") == second
    assert records.get(KIND, "n-1") == second
    # The first call may have died before its eager projection.
    assert shown[-2:] == [second, second]


def test_edit_repeated_after_a_later_edit_is_a_conflict(records: Records) -> None:
    made(records)
    changed(records, 1, {"title": "Second"}, operation="change")
    third = changed(records, 2, {"title": "Third"}, operation="another")
    with pytest.raises(VersionConflict) as refused:
        changed(records, 1, {"title": "Second"}, operation="change")
    assert refused.value.current == third
    assert records.get(KIND, "n-1") == third


@pytest.mark.parametrize("expected", [1, 2, None])
def test_edit_of_a_missing_or_deleted_record_is_not_found(records: Records, expected: int | None) -> None:
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


def test_version_conflict_takes_precedence_over_the_wrong_state(records: Records) -> None:
    made(records, status="other")
    with pytest.raises(VersionConflict):
        _change_where(records, STATES, 2)


def test_status_move_repeated_after_a_lost_answer_is_recognised(records: Records) -> None:
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


def test_edit_that_makes_its_record_too_large_is_refused(records: Records) -> None:
    made(records, text="x" * 300_000)
    with pytest.raises(RecordTooLarge):
        changed(records, 1, {"more": "y" * 120_000}, operation="change")


def test_other_error_of_dynamodb_passes_through(dynamodb: Any) -> None:
    nowhere = Records(Table(dynamodb, "no-such-table"), lambda _: None)
    with pytest.raises(ClientError):
        changed(nowhere, 1, {}, operation="change")


# --- commit_all


def test_many_changes_return_one_outcome_each_in_order(records: Records, shown: list[Record]) -> None:
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


def test_repeated_bulk_change_is_recognised(records: Records) -> None:
    for number in range(25):
        made(records, f"n-{number}")
    changes = [Change(f"n-{number}", 1 if number % 2 else None, {"n": number}) for number in range(25)]
    first, again = (records.commit_all(KIND, changes, by="bob", operation="change") for _ in range(2))
    assert first == again
    assert _versions(first) == [2] * 25
    assert [outcome.doc["n"] for outcome in first if isinstance(outcome, Record)] == list(range(25))


def test_no_changes_have_no_outcomes(records: Records) -> None:
    assert records.commit_all(KIND, [], by="bob", operation="change") == []


def test_round_trips_of_a_bulk_change_are_counted_for_its_caller(records: Records) -> None:
    for record_id in ("a", "b", "c"):
        made(records, record_id)
    with logs.invocation("test") as line:
        records.commit_all(
            KIND, [Change(record_id, 1, {}) for record_id in ("a", "b", "c")], by="bob", operation="change"
        )
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


def test_of_concurrent_edits_and_deletions_one_wins(records: Records) -> None:
    made(records)
    deletes = [lambda n=n: removed(records, 1, f"remove-{n}") for n in range(20)]
    changes = [lambda n=n: changed(records, 1, {"n": n}, operation=f"change-{n}") for n in range(20)]
    outcomes = race(deletes + changes)
    assert _versions(outcomes) == [2]
    assert {type(outcome) for outcome in outcomes} <= {Record, VersionConflict, RecordNotFound}


@pytest.mark.parametrize("expected", [1, None])
def test_deletion_repeated_after_a_lost_answer_is_recognised(records: Records, expected: int | None) -> None:
    made(records)
    gone = removed(records, expected, "remove")
    assert removed(records, expected, "remove") == gone
    with pytest.raises(RecordNotFound):
        removed(records, expected, "remove again")
    assert records.get_including_deleted(KIND, "n-1") == gone


def test_deletion_demands_the_expected_version_and_state(records: Records) -> None:
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


def test_concurrent_increments_are_all_applied(records: Records) -> None:
    made(records, count=0)
    outcomes = race([lambda n=n: _counted(records, f"count-{n}", attempts=50) for n in range(20)])  # type: ignore[misc]
    assert sorted(_versions(outcomes)) == list(range(2, 22))
    assert records.get(KIND, "n-1").doc == {"count": 20}


def test_overtaken_update_is_recomputed_from_the_refusals_state(records: Records) -> None:
    # Given another writer that commits first, twice
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
    # Two of the six round trips were the other writer's.
    assert line.round_trips - 2 == 4


def test_update_overtaken_on_every_attempt_is_a_conflict(records: Records) -> None:
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


def test_update_of_a_record_deleted_meanwhile_is_not_found(records: Records) -> None:
    made(records, count=0)

    def too_late(doc: Doc) -> Doc:
        removed(records, 1, "remove")
        return _count(doc)

    with pytest.raises(RecordNotFound):
        _counted(records, "count", too_late)


def test_update_with_no_attempts_is_a_value_error(records: Records) -> None:
    made(records, count=0)
    with pytest.raises(ValueError, match="attempts"):
        _counted(records, "count", attempts=0)


# --- prepare


def test_prepared_write_makes_the_state_it_announced(records: Records) -> None:
    record = made(records, title="First", stays=1)
    prepared = records.prepare(record, {"title": "Second"}, by="bob", operation="change")
    assert records.get(KIND, "n-1") == record
    clients.table("records").transact([prepared.write])
    assert records.get(KIND, "n-1") == prepared.record
    assert (prepared.record.version, prepared.record.doc) == (2, {"title": "Second", "stays": 1})


def test_prepared_writes_commit_together_only_under_a_held_lock(records: Records) -> None:
    # Given
    record, other = made(records, "a"), made(records, "b")
    prepared = [records.prepare(each, {"paid": True}, by="bob", operation="pay") for each in (record, other)]
    locks = coordination_wiring.locks()
    lease = locks.acquire("pay", 10_000, 0)
    # When the lock is lost, no record is written
    locks.break_("pay")
    with pytest.raises(LockLost):
        locks.guarded(lease, [each.write for each in prepared])
    assert records.get(KIND, "a") == record
    # Then under a lock that is held, both are
    locks.guarded(locks.acquire("pay", 10_000, 0), [each.write for each in prepared])
    assert [records.get(KIND, "a"), records.get(KIND, "b")] == [each.record for each in prepared]


def test_prepared_write_is_refused_after_another_edit(records: Records) -> None:
    # Given
    record, other = made(records, "a"), made(records, "b")
    prepared = [records.prepare(each, {"paid": True}, by="bob", operation="pay") for each in (record, other)]
    changed(records, 1, {"title": "Second"}, record_id="b", operation="change")
    # When
    locks = coordination_wiring.locks()
    with pytest.raises(GuardedRefused):
        locks.guarded(locks.acquire("pay", 10_000, 0), [each.write for each in prepared])
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


def test_batch_get_returns_existing_and_deleted_records(records: Records) -> None:
    made(records, "a")
    made(records, "b")
    removed(records, 1, "remove", "b")
    found = records.batch_get([key(KIND, record_id) for record_id in ("a", "b", "c")])
    assert {item["pk"] for item in found} == {"note#a", "note#b"}


def test_walk_returns_each_record_once(records: Records) -> None:
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
