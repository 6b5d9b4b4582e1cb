"""What the stream could not carry is found by comparing, and told under the ids it always had."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.collection import Collection

from chalicelib.core.errors import Unavailable
from chalicelib.core.records import reconcile
from chalicelib.core.records import wiring as records_wiring
from chalicelib.core.records.history import History
from chalicelib.core.records.models import Record
from chalicelib.core.records.project import Projector
from chalicelib.core.records.reconcile import START, PassCursor, PassResult
from chalicelib.core.records.store import Records
from chalicelib.core.records.view import UnknownKind, View
from chalicelib.core.runtime import deadline, logs
from chalicelib.core.stores import clients
from tests.support.gateway import Context
from tests.unit.core.records.build import NOTE, a_record, a_tombstone, item_of, made, put, streamed
from tests.unit.core.records.conftest import KEPT, told

Copies = Collection[dict[str, Any]]

pytestmark = pytest.mark.usefixtures("wired")


@pytest.fixture(autouse=True)
def kept(options: Callable[..., None]) -> None:
    options(RECORDS_KEPT_VERSIONS=str(KEPT))


def _carried(projector: Projector, *states: Record) -> None:
    """Put the last of *states*, and carry all, with nobody having heard of it yet."""
    put(states[-1])
    projector.project([streamed(item_of(state)) for state in states])
    told()


def _walk() -> PassResult:
    found = reconcile.step()
    assert found.finished
    return found


def _written(history: History, record_id: str = "n-1") -> list[tuple[int, bool]]:
    """Return what history has, the newest first: number, and whether it is lost."""
    page = history.page(NOTE.name, record_id, 100)
    return [(changed.version.version, changed.version.lost) for changed in page]


# --- what is missing


def test_where_nothing_is_missing_nothing_is_done(wired: Projector) -> None:
    _carried(wired, a_record(version=1), a_record(version=2))
    _carried(wired, a_record("n-2"), a_tombstone("n-2", 2))
    # The truths, and the copy that lives.
    assert _walk() == _walk() == PassResult(compared=3, repaired=0, finished=True)
    assert told() == []


def test_a_copy_that_is_missing_or_behind_is_shown_and_nobody_is_told_again(
    wired: Projector, view: View, copies: Copies
) -> None:
    # Given
    for record_id in ("a", "b", "c"):
        _carried(wired, a_record(record_id, 1), a_record(record_id, 2))
    copies.delete_one({"_id": "a"})
    copies.update_one({"_id": "b"}, {"$set": {"version": 1}})
    # When
    assert _walk().repaired == 2
    # Then
    assert view.sequences(NOTE.name, ["a", "b", "c"]) == {"a": 2, "b": 2, "c": 2}
    assert told() == []


def test_a_deletion_that_was_never_shown_is(wired: Projector, view: View) -> None:
    _carried(wired, a_record(version=1))
    put(a_tombstone(version=2))
    assert _walk().repaired == 1
    assert view.walk(NOTE.name, "", 10) == []
    assert [(event.record_version, event.operation) for event in told()] == [(2, "deleted")]


def test_a_tombstone_that_mongodb_has_forgotten_is_not_missing(wired: Projector, copies: Copies) -> None:
    _carried(wired, a_record(version=1), a_tombstone(version=2))
    copies.delete_many({})
    assert _walk().repaired == 0
    assert copies.count_documents({}) == 0


@pytest.mark.parametrize(
    ("record", "operation"),
    [
        (a_record(version=1), "created"),
        (a_record(version=2), "updated"),
        (a_tombstone(version=2), "deleted"),
    ],
    ids=["created", "updated", "deleted"],
)
def test_a_version_that_nobody_was_told_of_is_told_under_its_id_and_as_what_it_was(
    wired: Projector, history: History, record: Record, operation: str
) -> None:
    if record.version > 1:
        _carried(wired, a_record(version=1))
    put(record)
    assert _walk().repaired == 1
    (event,) = told()
    assert (event.work_id, event.operation) == (f"note/n-1@{record.version}", operation)
    assert _written(history)[0] == (record.version, False)
    assert _walk().repaired == 0


def test_what_was_shown_early_and_never_told_is_told(wired: Projector, view: View) -> None:
    view.apply_eagerly([put(a_record())])
    assert _walk().repaired == 1
    assert [event.work_id for event in told()] == ["note/n-1@1"]


# --- lost versions


def test_lost_versions_are_told_under_their_ids_and_written_down_as_lost(wired: Projector, history: History) -> None:
    # Given
    _carried(wired, a_record(version=1))
    put(a_record(version=4))
    # When
    with logs.invocation("test") as line:
        assert _walk().repaired == 3
    # Then
    assert line.counts["versionsLost"] == 2
    assert sorted((event.record_version, event.operation) for event in told()) == [
        (2, "updated"),
        (3, "updated"),
        (4, "updated"),
    ]
    assert _written(history) == [(4, False), (3, True), (2, True), (1, False)]
    assert _walk().repaired == 0


def test_a_lost_first_version_is_told_as_the_making_that_it_was(wired: Projector) -> None:
    put(a_record(version=2))
    _walk()
    assert sorted((event.record_version, event.operation) for event in told()) == [(1, "created"), (2, "updated")]


def test_what_is_missing_further_back_is_found_too(wired: Projector, history: History) -> None:
    """A walk in the middle of an outage carries the version of that moment, and what is before and after is lost."""
    _carried(wired, a_record(version=1), a_record(version=3), a_record(version=4))
    assert _walk().repaired == 1
    assert [event.record_version for event in told()] == [2]
    assert _written(history) == [(4, False), (3, False), (2, True), (1, False)]


def _recent() -> str:
    return (datetime.now(UTC) - timedelta(hours=23)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_what_may_still_come_by_the_stream_is_left_to_come(wired: Projector, history: History) -> None:
    # Given a stream that is behind: of a new record, it has brought nothing
    first, second = (a_record(version=version, updated_at=_recent()) for version in (1, 2))
    put(second)
    # When
    assert _walk().repaired == 1
    # Then only what is known is told
    assert [event.record_version for event in told()] == [2]
    assert _written(history) == [(2, False)]
    # And what comes is told as what it was
    wired.project([streamed(item_of(first))])
    assert [(event.record_version, event.operation) for event in told()] == [(1, "created")]
    assert _walk().repaired == 0
    assert _written(history) == [(2, False), (1, False)]


def test_what_did_not_come_in_a_day_is_lost_also_where_the_record_goes_on_changing(
    wired: Projector, history: History
) -> None:
    # Given versions that were left to come
    _carried(wired, a_record(version=1), a_record(version=3, updated_at=_recent()))
    assert _walk().repaired == 0
    # When a day has passed, and the record was changed since
    history.add([a_record(version=3)])
    _carried(wired, a_record(version=4, updated_at=_recent()), a_record(version=5, updated_at=_recent()))
    # Then
    assert _walk().repaired == 1
    assert [event.record_version for event in told()] == [2]


def test_of_many_lost_versions_only_those_that_would_be_kept_are_told(wired: Projector, history: History) -> None:
    put(a_record(version=5_000))
    _walk()
    assert sorted(event.record_version for event in told()) == list(range(5_001 - KEPT, 5_001))
    assert len(_written(history)) == KEPT


def test_many_lost_versions_are_told_a_hundred_at_a_time(options: Callable[..., None]) -> None:
    options(RECORDS_KEPT_VERSIONS="1000")
    put(a_record(version=251))
    assert [_walk().repaired for _ in range(4)] == [101, 100, 50, 0]
    assert sorted(event.record_version for event in told()) == list(range(1, 252))


def test_a_record_that_has_no_gap_is_not_looked_at_twice(wired: Projector, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    times = History.times

    def noted(self: History, record: Record, versions: Any) -> dict[int, str]:
        looked.extend(versions)
        return times(self, record, versions)

    monkeypatch.setattr(History, "times", noted)
    _carried(wired, *(a_record(version=version) for version in range(1, 4)))
    for _ in range(2):
        _walk()
        assert looked == [1, 2]
    # And then from there on
    _carried(wired, a_record(version=4))
    _walk()
    assert looked == [1, 2, 3]


# --- copies without a truth


def test_a_copy_without_any_truth_is_forgotten(wired: Projector, view: View) -> None:
    _carried(wired, a_record("stays"))
    view.apply([a_record("orphan", 3), a_tombstone("gone", 2)])
    assert _walk().repaired == 1
    # A tombstone goes by itself.
    assert view.sequences(NOTE.name, ["stays", "orphan", "gone"]) == {"stays": 1, "gone": 2}
    assert told() == []


def test_a_record_that_is_just_being_made_is_no_orphan(records: Records, view: View) -> None:
    """Its truth is there before its copy, and is asked for after the copy was seen."""
    record = made(records)
    view.apply_eagerly([record])
    following, found = reconcile.advance(PassCursor(NOTE.name, ""))
    assert (following, found) == (None, PassResult(1, 0))
    assert view.sequences(NOTE.name, ["n-1"]) == {"n-1": 1}


def test_an_orphan_that_became_a_record_meanwhile_is_kept(
    view: View, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a copy that is replaced between being looked at and being forgotten
    view.apply([a_record(version=1)])
    forget = View.forget

    def late(self: View, *arguments: Any) -> None:
        self.apply([put(a_record(version=2))])
        forget(self, *arguments)

    monkeypatch.setattr(View, "forget", late)
    reconcile.advance(PassCursor(NOTE.name, ""))
    assert (copies.find_one() or {})["version"] == 2


# --- states that cannot be repaired


def test_an_unreadable_record_is_logged_and_others_are_repaired(wired: Projector, view: View, printed: Any) -> None:
    # Given
    clients.table("records").put({"pk": "note#broken", "version": 1}, when="")
    put(a_record("bad", doc={}))
    put(a_record("odd", kind="unheard-of"))
    put(a_record("fine"))
    # When
    with logs.invocation("test") as line:
        first = _walk()
    again = _walk()
    # Then
    assert (first.repaired, again.repaired) == (1, 0)
    assert line.counts["recordsUnreadable"] == 1
    assert view.sequences(NOTE.name, ["broken", "bad", "fine"]) == {"fine": 1}
    actions = [line["action"] for line in printed.lines() if "action" in line]
    assert actions.count("record_not_read") == 2
    assert actions.count("record_not_projected") == 4


# --- a walk in steps


def test_a_walk_goes_through_the_truth_and_then_through_each_view(
    wired: Projector, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_wiring, "kinds", lambda: {"zebra": NOTE, NOTE.name: NOTE})
    monkeypatch.setattr(reconcile, "_AT_ONCE", 2)
    for number in range(5):
        _carried(wired, a_record(f"n-{number}"))
    places: list[PassCursor] = []
    while (following := reconcile.advance(places[-1] if places else START)[0]) is not None:
        places.append(following)
        assert len(places) <= 6
    assert [one.kind for one in places] == ["", "", NOTE.name, NOTE.name, NOTE.name, "zebra"]
    assert [one.after for one in places[2:]] == ["", "n-1", "n-3", ""]


class Asked:
    """A Lambda whose time is up after so many questions."""

    def __init__(self, times: int) -> None:
        self.left = times

    def get_remaining_time_in_millis(self) -> int:
        self.left -= 1
        return 60_000 if self.left >= 0 else 1_000


def test_what_one_invocation_leaves_the_next_goes_on_with(wired: Projector, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setattr(reconcile, "_AT_ONCE", 2)
    for number in range(5):
        put(a_record(f"n-{number}"))
    # When each has time for one step
    found: list[PassResult] = []
    while not found or not found[-1].finished:
        with deadline.bind(Asked(1)):
            found.append(reconcile.step())
        assert found[-1].compared <= 2
        assert len(found) <= 10
    # Then all was seen once, in the truth and in the view
    assert sum(one.compared for one in found) == 10
    assert len(found) > 5
    assert sorted(event.id for event in told()) == [f"n-{number}" for number in range(5)]
    # And it begins anew
    assert _walk().compared == 10


def test_an_invocation_with_little_time_leaves_all_to_the_next() -> None:
    put(a_record())
    with deadline.bind(Context(remaining_ms=9_999)):
        assert reconcile.step() == PassResult(0, 0, finished=False)


def test_a_step_that_died_is_done_again(monkeypatch: pytest.MonkeyPatch, wired: Projector) -> None:
    # Given one that did its work, and died before it wrote how far it was
    put(a_record())
    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "_store_cursor", _down)
        with pytest.raises(Unavailable):
            reconcile.step()
    assert len(told()) == 1
    # Then
    assert _walk() == PassResult(compared=2, repaired=0, finished=True)


def test_a_store_that_is_down_ends_the_step_and_keeps_its_place(
    monkeypatch: pytest.MonkeyPatch, wired: Projector, copies: Copies
) -> None:
    _carried(wired, a_record())
    with monkeypatch.context() as patch:
        patch.setattr(View, "walk", _down)
        with pytest.raises(Unavailable):
            reconcile.step()
    # The truth was seen, and the view is left.
    copies.insert_one({"_id": "orphan", "version": 1, "live": True})
    assert _walk() == PassResult(compared=2, repaired=1, finished=True)


def _down(*_: Any, **__: Any) -> None:
    raise Unavailable


# --- repaired on demand


def test_a_repair_projects_the_current_state(wired: Projector, view: View, history: History) -> None:
    put(a_record(version=3))
    history.add([a_record(version=2)])
    reconcile.repair(NOTE.name, "n-1", 2)
    assert view.sequences(NOTE.name, ["n-1"]) == {"n-1": 3}
    assert [event.record_version for event in told()] == [3]


def test_a_version_that_was_overtaken_and_never_told_is_told(wired: Projector, history: History) -> None:
    put(a_record(version=3))
    for _ in range(2):
        reconcile.repair(NOTE.name, "n-1", 2)
    assert sorted(event.record_version for event in told()) == [2, 3, 3]
    assert _written(history)[:2] == [(3, False), (2, True)]


@pytest.mark.parametrize("version", [0, 3, 4])
def test_of_a_version_that_is_not_past_nothing_is_lost(wired: Projector, history: History, version: int) -> None:
    put(a_record(version=3))
    reconcile.repair(NOTE.name, "n-1", version)
    assert _written(history) == [(3, False)]


def test_a_repair_of_an_unknown_record_does_nothing(wired: Projector) -> None:
    reconcile.repair(NOTE.name, "n-1", 1)
    assert told() == []


def test_what_still_cannot_be_carried_says_why(wired: Projector) -> None:
    put(a_record(kind="unheard-of"))
    with pytest.raises(UnknownKind):
        reconcile.repair("unheard-of", "n-1", 1)
