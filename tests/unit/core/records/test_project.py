"""States reach view, subscribers and history in any order; a failing state delays no other."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from pymongo.collection import Collection

from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing import wiring as queueing_wiring
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records import events
from chalicelib.core.records.events import Subscription
from chalicelib.core.records.history import History
from chalicelib.core.records.models import Record
from chalicelib.core.records.project import Projector, Repair
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.records.store import Records
from chalicelib.core.records.view import View
from chalicelib.core.stores.attributes import to_attributes
from tests.unit.core.records.build import (
    FOLLOWERS,
    NOTE,
    a_record,
    a_tombstone,
    changed,
    item_of,
    made,
    removed,
    streamed,
    take_messages,
)
from tests.unit.core.records.conftest import take_events

Copies = Collection[dict[str, Any]]


def _repairs() -> list[Repair]:
    return [Repair.model_validate_json(body) for body in take_messages(REPAIR)]


def _written(history: History, record_id: str = "n-1") -> list[int]:
    return [changed.version.version for changed in history.page(NOTE.name, record_id, 100)]


# --- projected


def test_every_version_reaches_view_followers_and_history(
    projector: Projector, records: Records, view: View, history: History
) -> None:
    # Given the stream records of a record's life
    first = made(records)
    second = changed(records, 1, {"title": "Second"}, operation="change")
    third = removed(records, 2, "remove")
    # When
    poisoned = projector.project([streamed(item_of(state)) for state in (first, second, third)])
    # Then
    assert poisoned == 0
    assert view.sequences(NOTE.name, ["n-1"]) == {"n-1": 3}
    assert [(event.record_version, event.operation, event.caused_by) for event in take_events()] == [
        (1, "created", "make"),
        (2, "updated", "change"),
        (3, "deleted", "remove"),
    ]
    assert _written(history) == [3, 2, 1]
    assert _repairs() == []


@pytest.mark.parametrize("kind", ["unheard-of", "", "$cmd", "a..b", "dot."])
def test_unknown_kind_goes_to_repair(projector: Projector, mail: Sender, view: View, kind: str) -> None:
    strange = streamed(item_of(a_record("n-1", kind=kind)))
    assert projector.project([strange, streamed(item_of(a_record("n-2")))]) == 1
    assert view.sequences(NOTE.name, ["n-2"]) == {"n-2": 1}


def test_empty_batch_is_projected(projector: Projector) -> None:
    assert projector.project([]) == 0
    assert projector.project_records([]) == []


def test_item_removed_from_the_table_is_not_projected(projector: Projector, view: View, history: History) -> None:
    # Given the stream record of an item removed by TTL or by an operator
    gone = streamed(item_of(a_record()), "REMOVE")
    gone["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    gone["dynamodb"]["OldImage"] = gone["dynamodb"].pop("NewImage")
    # When
    assert projector.project([gone, streamed(item_of(a_record("n-2")))]) == 0
    # Then
    assert view.sequences(NOTE.name, ["n-1", "n-2"]) == {"n-2": 1}
    assert [event.id for event in take_events()] == ["n-2"]
    assert (_written(history), _repairs()) == ([], [])


LIFE = [a_record(version=1), a_record(version=2), a_tombstone(version=3), a_record(version=4, operation="a", made="a")]


@hypothesis(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(4)), again=st.lists(st.integers(0, 3), max_size=4), cut=st.integers(0, 8))
def test_states_in_any_order_and_twice_are_all_projected(
    projector: Projector, copies: Copies, history: History, *, order: list[int], again: list[int], cut: int
) -> None:
    # Given a record of this example's own
    record_id = f"n-{order}-{again}-{cut}"
    states = [replace(LIFE[place], id=record_id) for place in [*order, *again]]
    # When
    for batch in (states[:cut], states[cut:]):
        assert projector.project([streamed(item_of(state)) for state in batch]) == 0
    # Then
    assert (copies.find_one({"_id": record_id}) or {})["version"] == 4
    events = take_events()
    assert {(event.record_version, event.operation) for event in events} == {
        (1, "created"),
        (2, "updated"),
        (3, "deleted"),
        (4, "created"),
    }
    assert len({event.work_id for event in events}) == 4
    assert [changed.version.version for changed in history.page(NOTE.name, record_id, 10)] == [4, 3, 2, 1]


def test_projector_writes_view_then_events_then_history(projector: Projector, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def noted(step: str) -> Callable[..., list[Any]]:
        def do(*_: Any) -> list[Any]:
            done.append(step)
            return []

        return do

    monkeypatch.setattr(View, "apply", noted("view"))
    monkeypatch.setattr(events, "publish", noted("events"))
    monkeypatch.setattr(History, "add", noted("history"))
    projector.project([streamed(item_of(a_record()))])
    assert done == ["view", "events", "history"]


# --- a store is down


def _down(*_: Any, **__: Any) -> None:
    raise Unavailable


@pytest.mark.parametrize(
    ("owner", "name", "projected", "published"),
    [(View, "apply", False, False), (events, "publish", True, False), (History, "add", True, True)],
    ids=["view", "followers", "history"],
)
def test_unreachable_store_holds_the_batch_back_for_a_retry(
    projector: Projector,
    view: View,
    history: History,
    monkeypatch: pytest.MonkeyPatch,
    *,
    owner: Any,
    name: str,
    projected: bool,
    published: bool,
) -> None:
    # Given
    batch = [streamed(item_of(a_record(record_id))) for record_id in ("a", "b")]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, _down)
        with pytest.raises(Unavailable):
            projector.project(batch)
    assert bool(view.sequences(NOTE.name, ["a"])) is projected
    assert bool(take_events()) is published
    assert _written(history, "a") == []
    assert _repairs() == []
    # When the store is back and the batch comes again
    assert projector.project(batch) == 0
    # Then
    assert _written(history, "a") == _written(history, "b") == [1]
    assert [event.id for event in take_events()] == ["a", "b"]


def test_failed_send_to_repair_holds_the_batch_back(
    projector: Projector, mail: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = streamed(item_of(a_record(doc={})))
    send_all = Sender.send_all

    def only_followers(self: Sender, queue: Any, messages: Sequence[Any]) -> None:
        if queue is REPAIR and messages:
            raise Unavailable
        send_all(self, queue, messages)

    monkeypatch.setattr(Sender, "send_all", only_followers)
    with pytest.raises(Unavailable):
        projector.project([poison])


# --- poison


def _without(name: str) -> dict[str, Any]:
    item = item_of(a_record("bad", 3))
    del item[name]
    return item


def _image(**attributes: Any) -> dict[str, Any]:
    change = streamed(item_of(a_record("bad", 3)))
    change["dynamodb"]["NewImage"] |= attributes
    return change


def _imageless() -> dict[str, Any]:
    change = _image()
    del change["dynamodb"]["NewImage"]
    return change


@pytest.mark.parametrize(
    ("change", "version"),
    [
        (_image(doc={"S": "no map"}), 3),
        (_image(doc={"M": {"title": {"S": "no JSON"}}}), 3),
        (_image(operation={"N": "1"}), 3),
        (_image(extra={"B": b"bytes"}, updatedAt={"NULL": True}), 3),
        (_image(version={"N": "1.5"}), 0),
        (_image(version={"N": "-3", "S": "three"}), 0),
        (_image(version={"S": "3"}), 0),
        (streamed(_without("version")), 0),
        (streamed(_without("made")), 3),
        (_imageless(), 0),
    ],
    ids=[
        "a document that is text",
        "a field that is no JSON",
        "an operation that is a number",
        "bytes and nothing",
        "a version that is not whole",
        "two values in one",
        "a version that is text",
        "no version",
        "no maker",
        "no image",
    ],
)
def test_unreadable_record_goes_to_repair_and_others_are_projected(
    projector: Projector, view: View, history: History, printed: Any, *, change: dict[str, Any], version: int
) -> None:
    # When
    batch = [streamed(item_of(a_record("a"))), change, streamed(item_of(a_record("b")))]
    assert projector.project(batch) == 1
    # Then
    (repair,) = _repairs()
    assert (repair.kind, repair.id, repair.record_version) == ("note", "bad", version)
    assert view.sequences(NOTE.name, ["a", "b", "bad"]) == {"a": 1, "b": 1}
    assert [event.id for event in take_events()] == ["a", "b"]
    assert _written(history, "a") == _written(history, "b") == [1]
    assert [line["action"] for line in printed.lines()] == ["record_not_read"]


def test_item_that_is_no_record_goes_to_repair(projector: Projector) -> None:
    change = {
        "eventName": "INSERT",
        "dynamodb": {"Keys": to_attributes({"pk": "junk"}), "NewImage": to_attributes({"pk": "junk"})},
    }
    assert projector.project([change]) == 1
    assert [(repair.kind, repair.id) for repair in _repairs()] == [("junk", "")]


def test_record_the_view_refuses_is_repaired_published_and_kept(
    projector: Projector, history: History, printed: Any
) -> None:
    batch = [a_record("a"), a_record("bad", doc={}), a_record("bad", 2, doc={}, kind="unheard-of")]
    assert projector.project([streamed(item_of(state)) for state in batch]) == 2
    assert [(repair.work_id, repair.caused_by) for repair in _repairs()] == [
        ("note/bad@1/stream", "operation-bad-1"),
        ("unheard-of/bad@2/stream", "operation-bad-2"),
    ]
    assert [event.id for event in take_events()] == ["a", "bad"]
    assert _written(history, "bad") == [1]
    assert {line["action"] for line in printed.lines()} == {"record_not_projected"}


def _refusing(refused: Callable[[Record], bool], step: Callable[..., Any]) -> Callable[..., Any]:
    """Return *step*, failing for any batch with a *refused* record."""

    def some(*arguments: Any) -> Any:
        records = next(argument for argument in arguments if isinstance(argument, list))
        if any(refused(record) for record in records):
            raise ValueError("not this one")
        return step(*arguments)

    return some


def test_version_that_cannot_be_published_stays_out_of_history(
    projector: Projector, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "publish", _refusing(lambda record: record.id == "bad", events.publish))
    failed = projector.project_records([a_record("a"), a_record("bad"), a_record("b")])
    assert [(fault.record.id, str(fault.error)) for fault in failed] == [("bad", "not this one")]
    assert (_written(history, "a"), _written(history, "bad"), _written(history, "b")) == ([1], [], [1])
    assert {event.id for event in take_events()} == {"a", "b"}


def test_version_history_refuses_holds_up_no_other(
    projector: Projector, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(History, "add", _refusing(lambda record: record.id == "bad", History.add))
    failed = projector.project_records([a_record("a"), a_record("bad"), a_record("b")])
    assert [fault.record.id for fault in failed] == ["bad"]
    assert (_written(history, "a"), _written(history, "bad"), _written(history, "b")) == ([1], [], [1])


def test_a_version_that_fails_at_each_step_is_sent_to_repair_once(
    projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(History, "add", _refusing(lambda record: not record.doc, History.add))
    assert projector.project([streamed(item_of(a_record(doc={})))] * 2) == 1
    assert len(_repairs()) == 1


def test_batch_without_failures_is_written_in_one_call(
    projector: Projector, followers: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    add = History.add

    def noted(self: History, records: Sequence[Record]) -> None:
        asked.append(len(records))
        add(self, records)

    monkeypatch.setattr(History, "add", noted)
    projector.project_records([a_record(str(number)) for number in range(30)])
    assert asked == [30]
    assert followers.queue is FOLLOWERS


def test_repair_message_names_its_version_and_cause(mail: Sender) -> None:
    repair = Repair(kind="note", id="n-1", record_version=3)
    assert json.loads(repair.model_dump_json()) == {
        "schema": 1,
        "causedBy": "",
        "kind": "note",
        "id": "n-1",
        "recordVersion": 3,
        "cause": "stream",
    }
    assert repair.work_id == "note/n-1@3/stream"
    assert queueing_wiring.sender() is mail
