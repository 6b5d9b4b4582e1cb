"""Copies move only to higher versions, in any order of concurrent and repeated writes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pymongo
import pytest
from bson.errors import InvalidDocument
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from chalicelib.core.errors import Unavailable
from chalicelib.core.records.models import Kind, Record
from chalicelib.core.records.view import INDEXES, UnknownKind, View, collection_of
from chalicelib.core.runtime import logs, settings
from chalicelib.core.stores import clients
from infra.local.processes.mongod import Mongod
from tests.support.concurrency import race
from tests.support.mongodb_commands import recording_commands
from tests.unit.core.records.build import NOTE, a_record, a_tombstone

Copies = Collection[dict[str, Any]]


def _options() -> Any:
    return settings.load(settings.RecordSettings)


def _version(copies: Copies, record_id: str = "n-1") -> int:
    copy = copies.find_one({"_id": record_id})
    return copy["version"] if copy else 0


# --- content of a copy


def test_copy_holds_the_record_and_its_search_keys(view: View, copies: Copies) -> None:
    record = a_record(version=3)
    assert view.apply([record]) == []
    assert copies.find_one() == {
        "_id": "n-1",
        "version": 3,
        "live": True,
        "createdAt": record.created_at,
        "createdBy": "ann",
        "updatedAt": record.updated_at,
        "updatedBy": "bob",
        "doc": {"title": "Title 3"},
        "keys": {"title": "title 3"},
    }


def test_document_with_operator_names_is_projected_unchanged(view: View, copies: Copies) -> None:
    doc = {"title": "$$NOW", "$set": {"version": 9}, "a.b": [{"$where": "1"}, None], "": "", "live": False}
    assert view.apply([a_record(doc=doc)]) == []
    assert (copies.find_one() or {})["doc"] == doc


def test_batch_projects_the_last_state_of_each_record(view: View, copies: Copies) -> None:
    view.apply([a_record("a", 1), a_record("b", 2), a_record("a", 3), a_record("b", 1)])
    assert view.sequences(NOTE.name, ["a", "b", "c"]) == {"a": 3, "b": 2}


def test_kinds_are_projected_into_separate_collections(copies: Copies, mongodb: Database[dict[str, Any]]) -> None:
    other = Kind("memo")
    mongodb[collection_of("memo")].delete_many({})
    view = View(clients.mongodb, {NOTE.name: NOTE, "memo": other}, _options())
    view.apply([a_record(version=1), a_record(kind="memo", version=2)])
    assert (view.sequences("note", ["n-1"]), view.sequences("memo", ["n-1"])) == ({"n-1": 1}, {"n-1": 2})


# --- only ever a higher version


@pytest.mark.parametrize("late", [1, 2])
def test_state_that_is_not_newer_changes_nothing(view: View, copies: Copies, late: int) -> None:
    view.apply([a_record(version=2)])
    assert view.apply([a_record(version=late, doc={"title": "late"})]) == []
    assert (copies.find_one() or {})["doc"] == {"title": "Title 2"}


def test_a_deleted_record_leaves_a_tombstone_that_no_older_state_removes(view: View, copies: Copies) -> None:
    # Given
    view.apply([a_record(version=1)])
    view.apply([a_tombstone(version=3)])
    # When
    view.apply([a_record(version=2)])
    # Then no list has the record, and MongoDB removes the tombstone once no older state can arrive
    tombstone = copies.find_one() or {}
    assert tombstone.keys() == {"_id", "version", "purgeAt"}
    assert tombstone["version"] == 3
    left = tombstone["purgeAt"] - datetime.now(UTC)
    assert timedelta(hours=_options().tombstone_hours) - left < timedelta(minutes=1)
    assert view.walk(NOTE.name, "", 10) == []


def test_record_made_anew_is_projected_and_loses_its_purge_time(view: View, copies: Copies) -> None:
    view.apply([a_tombstone(version=2)])
    view.apply([a_record(version=3)])
    assert "purgeAt" not in (copies.find_one() or {})
    assert view.walk(NOTE.name, "", 10) == [("n-1", 3)]


def test_every_views_tombstones_are_removed_by_an_index() -> None:
    (index,) = (index.document for index in INDEXES)
    assert (dict(index["key"]), index["expireAfterSeconds"]) == ({"purgeAt": 1}, 0)


STATES = st.sampled_from(
    [a_record(version=1), a_record(version=2), a_tombstone(version=3), a_record(version=4), a_tombstone(version=5)]
)


@hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(STATES, max_size=4), max_size=6))
def test_any_order_of_any_copies_ends_at_the_highest_version(
    view: View, copies: Copies, batches: list[list[Record]]
) -> None:
    copies.delete_many({})
    highest = 0
    for batch in batches:
        assert view.apply(batch) == []
        highest = max([highest, *(record.version for record in batch)])
        assert _version(copies) == highest
        assert copies.count_documents({"live": True}) == (highest in {1, 2, 4})


def test_higher_of_two_concurrent_first_copies_stays(view: View, copies: Copies) -> None:
    ids = [f"n-{number}" for number in range(100)]
    for _ in range(15):
        copies.delete_many({})
        batches = [[a_record(record_id, version) for record_id in ids] for version in (1, 2)]
        race([lambda batch=batch: view.apply(batch) for batch in batches])  # type: ignore[misc]
        assert set(view.sequences(NOTE.name, ids).values()) == {2}


# --- records that cannot be projected


def _unsearchable(_: Record) -> dict[str, Any]:
    raise KeyError("title")


@pytest.mark.parametrize(
    ("poison", "error"),
    [
        (a_record("bad", kind="unheard-of"), UnknownKind),
        (a_record("bad", doc={}), KeyError),
        (a_record("bad", doc={"title": "", "huge": 2**64}), OverflowError),
        (a_record("bad", doc={"title": "", "\x00": 1}), InvalidDocument),
        (a_record("bad", doc={"title": "", "set": {1}}), InvalidDocument),
    ],
    ids=["unknown kind", "no keys", "beyond 64 bits", "a name invalid in BSON", "a value invalid in BSON"],
)
def test_record_that_cannot_be_projected_fails_alone(
    view: View, copies: Copies, poison: Record, error: type[Exception]
) -> None:
    (failed,) = view.apply([a_record("a"), poison, a_record("b")])
    assert failed.record == poison
    assert isinstance(failed.error, error)
    assert view.sequences(NOTE.name, ["a", "b", "bad"]) == {"a": 1, "b": 1}


def test_batch_without_projectable_records_is_not_unavailable(view: View, copies: Copies) -> None:
    failed = view.apply([a_record("bad", doc={}), a_record("worse", kind="unheard-of")])
    assert [type(fault.error) for fault in failed] == [KeyError, UnknownKind]


def test_mongodb_rejects_one_record_without_failing_the_batch(
    view: View, copies: Copies, mongodb: Database[dict[str, Any]]
) -> None:
    # Given a validator of the collection, and a copy of the same version
    view.apply([a_record("a")])
    mongodb.command("collMod", copies.name, validator={"doc.title": {"$ne": "forbidden"}})
    # When
    failed = view.apply([a_record("a"), a_record("bad", doc={"title": "forbidden"}), a_record("b")])
    # Then
    mongodb.command("collMod", copies.name, validator={})
    assert [fault.record.id for fault in failed] == ["bad"]
    assert view.sequences(NOTE.name, ["a", "b", "bad"]) == {"a": 1, "b": 1}


def test_stale_records_are_found_with_one_query_per_kind(mongod: Mongod, copies: Copies) -> None:
    with recording_commands(mongod.uri) as (client, sent):
        view = View(client.get_default_database, {NOTE.name: NOTE}, settings.load(settings.RecordSettings))
        view.apply([a_record("a", 3), a_tombstone("gone", 5)])
        sent.commands.clear()
        lower, same, higher = a_record("a", 2), a_record("a", 3), a_record("a", 4)
        new, back, strange = a_record("new"), a_record("gone", 4), a_record("x", kind="unheard-of")
        assert view.stale([lower, same, higher, new, back, strange]) == [higher, new, strange]
        # An unknown kind asks nothing: its name may be invalid for a collection.
        assert sent.names() == ["find"]
        assert view.stale([]) == []


# --- MongoDB is down


def _nowhere() -> Database[dict[str, Any]]:
    client = MongoClient[dict[str, Any]]("mongodb://127.0.0.1:9", serverSelectionTimeoutMS=50, connect=False)
    return client["nothing"]


@pytest.fixture
def closing() -> Any:
    """Register clients to close after the test."""
    made: list[MongoClient[dict[str, Any]]] = []
    yield made.append
    for client in made:
        client.close()


def test_a_database_that_is_gone_is_unavailable(closing: Callable[[Any], None]) -> None:
    database = _nowhere()
    closing(database.client)
    view = View(lambda: database, {NOTE.name: NOTE}, _options())
    for call in (
        lambda: view.apply([a_record()]),
        lambda: view.sequences(NOTE.name, ["n-1"]),
        lambda: view.walk(NOTE.name, "", 1),
        lambda: view.forget(NOTE.name, "n-1", 1),
    ):
        with pytest.raises(Unavailable):
            call()


def test_write_without_a_majority_is_unavailable(
    mongod: Mongod, copies: Copies, closing: Callable[[Any], None]
) -> None:
    # Given a write concern that a single member cannot satisfy
    database = clients.mongodb().with_options(write_concern=pymongo.WriteConcern(w=2, wtimeout=50))
    view = View(lambda: database, {NOTE.name: NOTE}, _options())
    with pytest.raises(Unavailable):
        view.apply([a_record()])


def test_write_concern_error_is_unavailable(view: View, copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given the answer of a replica set that loses its majority during the write
    details = {"writeConcernErrors": [{"code": 91, "errmsg": "shutting down"}], "writeErrors": []}

    def fail(*_: Any, **__: Any) -> None:
        raise BulkWriteError(details)

    monkeypatch.setattr(Collection, "bulk_write", fail)
    with pytest.raises(Unavailable):
        view.apply([a_record()])


# --- eager projection


class Ticks:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_written_record_is_projected_eagerly(view: View, copies: Copies) -> None:
    with logs.invocation("test") as line:
        view.apply_eagerly([a_record()])
    assert _version(copies) == 1
    assert line.counts.get("viewsLate") == 0


def test_write_succeeds_when_its_record_cannot_be_projected(view: View, copies: Copies) -> None:
    with logs.invocation("test") as line:
        view.apply_eagerly([a_record("bad", doc={}), a_record("b")])
    assert view.sequences(NOTE.name, ["bad", "b"]) == {"b": 1}
    assert line.counts["viewsLate"] == 1


def test_write_succeeds_when_the_view_has_a_fault(printed: Any, copies: Copies) -> None:
    def broken() -> Database[dict[str, Any]]:
        raise ZeroDivisionError

    View(broken, {NOTE.name: NOTE}, _options()).apply_eagerly([a_record()])
    assert [line["action"] for line in printed.lines()] == ["eager_view_failed"]


def test_eager_projection_pauses_while_mongodb_is_down(copies: Copies, closing: Callable[[Any], None]) -> None:
    # Given
    ticks, asked, gone = Ticks(), [], _nowhere()
    closing(gone.client)

    def database() -> Database[dict[str, Any]]:
        asked.append(ticks.seconds)
        return gone

    view = View(database, {NOTE.name: NOTE}, _options(), ticks)
    # When
    with logs.invocation("test") as line:
        for seconds in (100, 101, 104.9, 105.1, 106):
            ticks.seconds = seconds
            view.apply_eagerly([a_record()])
    # Then MongoDB was asked once, and again after the pause
    assert asked == [100, 105.1]
    assert line.counts["viewsLate"] == 2


def test_eager_projection_resumes_after_the_pause(copies: Copies, closing: Callable[[Any], None]) -> None:
    ticks, gone = Ticks(), _nowhere()
    closing(gone.client)
    places = iter([gone, clients.mongodb()])
    view = View(lambda: next(places), {NOTE.name: NOTE}, _options(), ticks)
    view.apply_eagerly([a_record()])
    ticks.seconds += 6
    view.apply_eagerly([a_record()])
    assert _version(copies) == 1


def test_eager_projection_gives_up_at_its_deadline(
    copies: Copies, mongodb: Database[dict[str, Any]], options: Callable[..., None]
) -> None:
    # Given a MongoDB that is reachable and does not answer writes
    options(RECORDS_EARLY_WITHIN_MS="50")
    view = View(clients.mongodb, {NOTE.name: NOTE}, _options())
    admin = mongodb.client.admin
    admin.command("fsync", lock=True)
    began = monotonic()
    # When
    try:
        with logs.invocation("test") as line:
            view.apply_eagerly([a_record()])
    finally:
        admin.command("fsyncUnlock")
    # Then the wait was shorter than the timeout of other operations
    assert monotonic() - began < settings.load(settings.MongoSettings).operation_timeout_ms / 1000 - 0.5
    assert line.counts["viewsLate"] == 1


def test_empty_batch_asks_no_database() -> None:
    def database() -> Database[dict[str, Any]]:
        raise AssertionError("asked")

    view = View(database, {NOTE.name: NOTE}, _options())
    with logs.invocation("test") as line:
        view.apply_eagerly([])
    assert line.counts == {}


# --- walk and forget


def test_walk_returns_each_live_copy_once_in_order_of_ids(view: View, copies: Copies) -> None:
    view.apply([a_record(f"n-{number}") for number in range(5)] + [a_tombstone("n-2", 2)])
    seen: list[str] = []
    while page := view.walk(NOTE.name, seen[-1] if seen else "", 2):
        seen += [record_id for record_id, _ in page]
        assert len(seen) <= 4
    assert seen == ["n-0", "n-1", "n-3", "n-4"]


def test_newer_copy_is_not_forgotten(view: View, copies: Copies) -> None:
    view.apply([a_record(version=2)])
    view.forget(NOTE.name, "n-1", 1)
    assert _version(copies) == 2
    view.forget(NOTE.name, "n-1", 2)
    assert _version(copies) == 0
