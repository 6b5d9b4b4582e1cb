"""States that the stream did not bring are found by comparison and published under their event ids."""

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
from tests.unit.core.records.conftest import KEPT, take_events

Copies = Collection[dict[str, Any]]

pytestmark = pytest.mark.usefixtures("wired")


@pytest.fixture(autouse=True)
def kept(options: Callable[..., None]) -> None:
    options(RECORDS_KEPT_VERSIONS=str(KEPT))


def _projected(projector: Projector, *states: Record) -> None:
    """Store the last of *states*, project all, and discard their events."""
    put(states[-1])
    projector.project([streamed(item_of(state)) for state in states])
    take_events()


def _run_pass() -> PassResult:
    found = reconcile.step()
    assert found.finished
    return found


def _written(history: History, record_id: str = "n-1") -> list[tuple[int, bool]]:
    """Return number and lost flag of each version in history, newest first."""
    page = history.page(NOTE.name, record_id, 100)
    return [(changed.version.version, changed.version.lost) for changed in page]


# --- missing states


def test_complete_records_are_not_repaired(wired: Projector) -> None:
    _projected(wired, a_record(version=1), a_record(version=2))
    _projected(wired, a_record("n-2"), a_tombstone("n-2", 2))
    # Two records and one live copy were compared.
    assert _run_pass() == _run_pass() == PassResult(compared=3, repaired=0, finished=True)
    assert take_events() == []


def test_missing_or_stale_copy_is_projected_and_not_published_again(
    wired: Projector, view: View, copies: Copies
) -> None:
    # Given
    for record_id in ("a", "b", "c"):
        _projected(wired, a_record(record_id, 1), a_record(record_id, 2))
    copies.delete_one({"_id": "a"})
    copies.update_one({"_id": "b"}, {"$set": {"version": 1}})
    # When
    assert _run_pass().repaired == 2
    # Then
    assert view.sequences(NOTE.name, ["a", "b", "c"]) == {"a": 2, "b": 2, "c": 2}
    assert take_events() == []


def test_deletion_missing_from_the_view_is_projected(wired: Projector, view: View) -> None:
    _projected(wired, a_record(version=1))
    put(a_tombstone(version=2))
    assert _run_pass().repaired == 1
    assert view.walk(NOTE.name, "", 10) == []
    assert [(event.record_version, event.operation) for event in take_events()] == [(2, "deleted")]


def test_purged_tombstone_does_not_count_as_missing(wired: Projector, copies: Copies) -> None:
    _projected(wired, a_record(version=1), a_tombstone(version=2))
    copies.delete_many({})
    assert _run_pass().repaired == 0
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
def test_unpublished_version_is_published_under_its_event_id(
    wired: Projector, history: History, record: Record, operation: str
) -> None:
    if record.version > 1:
        _projected(wired, a_record(version=1))
    put(record)
    assert _run_pass().repaired == 1
    (event,) = take_events()
    assert (event.work_id, event.operation) == (f"note/n-1@{record.version}", operation)
    assert _written(history)[0] == (record.version, False)
    assert _run_pass().repaired == 0


def test_eagerly_projected_version_never_published_is_published(wired: Projector, view: View) -> None:
    view.apply_eagerly([put(a_record())])
    assert _run_pass().repaired == 1
    assert [event.work_id for event in take_events()] == ["note/n-1@1"]


# --- lost versions


def test_lost_versions_are_published_and_kept_as_lost(wired: Projector, history: History) -> None:
    # Given
    _projected(wired, a_record(version=1))
    put(a_record(version=4))
    # When
    with logs.invocation("test") as line:
        assert _run_pass().repaired == 3
    # Then
    assert line.counts["versionsLost"] == 2
    assert sorted((event.record_version, event.operation) for event in take_events()) == [
        (2, "updated"),
        (3, "updated"),
        (4, "updated"),
    ]
    assert _written(history) == [(4, False), (3, True), (2, True), (1, False)]
    assert _run_pass().repaired == 0


def test_lost_first_version_is_published_as_created(wired: Projector) -> None:
    put(a_record(version=2))
    _run_pass()
    assert sorted((event.record_version, event.operation) for event in take_events()) == [
        (1, "created"),
        (2, "updated"),
    ]


def test_lost_version_before_later_ones_is_found(wired: Projector, history: History) -> None:
    """A pass during an outage projects the version of its moment; the versions around may still be lost."""
    _projected(wired, a_record(version=1), a_record(version=3), a_record(version=4))
    assert _run_pass().repaired == 1
    assert [event.record_version for event in take_events()] == [2]
    assert _written(history) == [(4, False), (3, False), (2, True), (1, False)]


def _recent() -> str:
    return (datetime.now(UTC) - timedelta(hours=23)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_version_the_stream_may_still_bring_is_not_lost(wired: Projector, history: History) -> None:
    # Given a late stream that has brought no state of a new record
    first, second = (a_record(version=version, updated_at=_recent()) for version in (1, 2))
    put(second)
    # When
    assert _run_pass().repaired == 1
    # Then only the known version is published
    assert [event.record_version for event in take_events()] == [2]
    assert _written(history) == [(2, False)]
    # And the late version is published as created
    wired.project([streamed(item_of(first))])
    assert [(event.record_version, event.operation) for event in take_events()] == [(1, "created")]
    assert _run_pass().repaired == 0
    assert _written(history) == [(2, False), (1, False)]


def test_version_missing_for_a_day_is_lost_despite_later_edits(wired: Projector, history: History) -> None:
    # Given a missing version that the stream may still bring
    _projected(wired, a_record(version=1), a_record(version=3, updated_at=_recent()))
    assert _run_pass().repaired == 0
    # When a day has passed, and the record was changed since
    history.add([a_record(version=3)])
    _projected(wired, a_record(version=4, updated_at=_recent()), a_record(version=5, updated_at=_recent()))
    # Then
    assert _run_pass().repaired == 1
    assert [event.record_version for event in take_events()] == [2]


def test_only_lost_versions_within_the_kept_number_are_published(wired: Projector, history: History) -> None:
    put(a_record(version=5_000))
    _run_pass()
    assert sorted(event.record_version for event in take_events()) == list(range(5_001 - KEPT, 5_001))
    assert len(_written(history)) == KEPT


def test_lost_versions_are_published_a_hundred_at_a_time(options: Callable[..., None]) -> None:
    options(RECORDS_KEPT_VERSIONS="1000")
    put(a_record(version=251))
    assert [_run_pass().repaired for _ in range(4)] == [101, 100, 50, 0]
    assert sorted(event.record_version for event in take_events()) == list(range(1, 252))


def test_complete_history_is_examined_once(wired: Projector, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    times = History.times

    def noted(self: History, record: Record, versions: Any) -> dict[int, str]:
        looked.extend(versions)
        return times(self, record, versions)

    monkeypatch.setattr(History, "times", noted)
    _projected(wired, *(a_record(version=version) for version in range(1, 4)))
    for _ in range(2):
        _run_pass()
        assert looked == [1, 2]
    # And a later pass examines only the newer versions
    _projected(wired, a_record(version=4))
    _run_pass()
    assert looked == [1, 2, 3]


# --- copies without a record


def test_copy_without_a_record_is_forgotten(wired: Projector, view: View) -> None:
    _projected(wired, a_record("stays"))
    view.apply([a_record("orphan", 3), a_tombstone("gone", 2)])
    assert _run_pass().repaired == 1
    # MongoDB removes the tombstone by its TTL.
    assert view.sequences(NOTE.name, ["stays", "orphan", "gone"]) == {"stays": 1, "gone": 2}
    assert take_events() == []


def test_record_being_made_is_not_taken_for_an_orphan(records: Records, view: View) -> None:
    """The record is stored before its copy, and is read after the copy was seen."""
    record = made(records)
    view.apply_eagerly([record])
    following, found = reconcile.advance(PassCursor(NOTE.name, ""))
    assert (following, found) == (None, PassResult(1, 0))
    assert view.sequences(NOTE.name, ["n-1"]) == {"n-1": 1}


def test_orphan_that_became_a_record_meanwhile_is_kept(
    view: View, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a copy replaced between the comparison and the removal
    view.apply([a_record(version=1)])
    forget = View.forget

    def late(self: View, *arguments: Any) -> None:
        self.apply([put(a_record(version=2))])
        forget(self, *arguments)

    monkeypatch.setattr(View, "forget", late)
    reconcile.advance(PassCursor(NOTE.name, ""))
    assert (copies.find_one() or {})["version"] == 2


# --- records that cannot be repaired


def test_unrepairable_records_are_logged_and_others_are_repaired(wired: Projector, view: View, printed: Any) -> None:
    # Given
    clients.table("records").put({"pk": "note#broken", "version": 1}, when="")
    put(a_record("bad", doc={}))
    put(a_record("odd", kind="unheard-of"))
    put(a_record("fine"))
    # When
    with logs.invocation("test") as line:
        first = _run_pass()
    again = _run_pass()
    # Then
    assert (first.repaired, again.repaired) == (1, 0)
    assert line.counts["recordsUnreadable"] == 1
    assert view.sequences(NOTE.name, ["broken", "bad", "fine"]) == {"fine": 1}
    actions = [line["action"] for line in printed.lines() if "action" in line]
    assert actions.count("record_not_read") == 2
    assert actions.count("record_not_projected") == 4


# --- a pass in steps


def test_pass_compares_all_records_and_then_each_view(
    wired: Projector, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_wiring, "kinds", lambda: {"zebra": NOTE, NOTE.name: NOTE})
    monkeypatch.setattr(reconcile, "_AT_ONCE", 2)
    for number in range(5):
        _projected(wired, a_record(f"n-{number}"))
    places: list[PassCursor] = []
    while (following := reconcile.advance(places[-1] if places else START)[0]) is not None:
        places.append(following)
        assert len(places) <= 6
    assert [place.kind for place in places] == ["", "", NOTE.name, NOTE.name, NOTE.name, "zebra"]
    assert [place.after for place in places[2:]] == ["", "n-1", "n-3", ""]


class LimitedReads:
    """A Lambda context whose time is up after *times* reads."""

    def __init__(self, times: int) -> None:
        self.left = times

    def get_remaining_time_in_millis(self) -> int:
        self.left -= 1
        return 60_000 if self.left >= 0 else 1_000


def test_pass_cut_short_is_continued_by_the_next_invocation(wired: Projector, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setattr(reconcile, "_AT_ONCE", 2)
    for number in range(5):
        put(a_record(f"n-{number}"))
    # When each invocation has time for one step
    found: list[PassResult] = []
    while not found or not found[-1].finished:
        with deadline.bind(LimitedReads(1)):
            found.append(reconcile.step())
        assert found[-1].compared <= 2
        assert len(found) <= 10
    # Then each record and each copy was compared once
    assert sum(step.compared for step in found) == 10
    assert len(found) > 5
    assert sorted(event.id for event in take_events()) == [f"n-{number}" for number in range(5)]
    # And the next pass begins anew
    assert _run_pass().compared == 10


def test_invocation_with_little_time_compares_nothing() -> None:
    put(a_record())
    with deadline.bind(Context(remaining_ms=9_999)):
        assert reconcile.step() == PassResult(0, 0, finished=False)


def test_step_that_died_before_storing_its_cursor_is_repeated(
    monkeypatch: pytest.MonkeyPatch, wired: Projector
) -> None:
    # Given a step that repaired, and died before storing its cursor
    put(a_record())
    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "_store_cursor", _down)
        with pytest.raises(Unavailable):
            reconcile.step()
    assert len(take_events()) == 1
    # Then
    assert _run_pass() == PassResult(compared=2, repaired=0, finished=True)


def test_unreachable_store_ends_the_step_and_keeps_its_cursor(
    monkeypatch: pytest.MonkeyPatch, wired: Projector, copies: Copies
) -> None:
    _projected(wired, a_record())
    with monkeypatch.context() as patch:
        patch.setattr(View, "walk", _down)
        with pytest.raises(Unavailable):
            reconcile.step()
    # The records were compared, and the view is left.
    copies.insert_one({"_id": "orphan", "version": 1, "live": True})
    assert _run_pass() == PassResult(compared=2, repaired=1, finished=True)


def _down(*_: Any, **__: Any) -> None:
    raise Unavailable


# --- repair on demand


def test_repair_projects_the_current_state(wired: Projector, view: View, history: History) -> None:
    put(a_record(version=3))
    history.add([a_record(version=2)])
    reconcile.repair(NOTE.name, "n-1", 2)
    assert view.sequences(NOTE.name, ["n-1"]) == {"n-1": 3}
    assert [event.record_version for event in take_events()] == [3]


def test_repair_publishes_an_overtaken_unpublished_version(wired: Projector, history: History) -> None:
    put(a_record(version=3))
    for _ in range(2):
        reconcile.repair(NOTE.name, "n-1", 2)
    assert sorted(event.record_version for event in take_events()) == [2, 3, 3]
    assert _written(history)[:2] == [(3, False), (2, True)]


@pytest.mark.parametrize("version", [0, 3, 4])
def test_repair_of_a_version_not_yet_past_reports_none_lost(wired: Projector, history: History, version: int) -> None:
    put(a_record(version=3))
    reconcile.repair(NOTE.name, "n-1", version)
    assert _written(history) == [(3, False)]


def test_repair_of_a_record_never_made_does_nothing(wired: Projector) -> None:
    reconcile.repair(NOTE.name, "n-1", 1)
    assert take_events() == []


def test_failed_repair_raises_its_cause(wired: Projector) -> None:
    put(a_record(kind="unheard-of"))
    with pytest.raises(UnknownKind):
        reconcile.repair("unheard-of", "n-1", 1)
