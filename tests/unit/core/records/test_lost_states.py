"""Copies of states that the system of record has lost, as after its restoration, are replaced by reconciliation."""

from typing import Any

import pytest
from pymongo.collection import Collection

from chalicelib.core.records import reconcile
from chalicelib.core.records.models import Record
from chalicelib.core.records.project import Projector
from chalicelib.core.records.store import Records
from chalicelib.core.records.view import View
from tests.unit.core.records.build import NOTE, a_record, a_tombstone, item_of, put, streamed
from tests.unit.core.records.conftest import take_events

pytestmark = pytest.mark.usefixtures("wired")


def projected(projector: Projector, *states: Record) -> None:
    put(states[-1])
    projector.project([streamed(item_of(state)) for state in states])
    take_events()


def test_copy_of_a_lost_version_is_replaced_by_the_kept_one(wired: Projector, view: View) -> None:
    # Given a record whose second version is lost with the tables' last seconds
    projected(wired, a_record(version=1))
    view.apply([a_record(version=2)])
    # When
    assert reconcile.step().repaired == 1
    # Then
    assert view.sequences(NOTE.name, ["n-1"]) == {"n-1": 1}
    assert reconcile.step().repaired == 0
    assert take_events() == []


def test_record_whose_deletion_is_lost_is_listed_again(
    wired: Projector, view: View, copies: Collection[dict[str, Any]]
) -> None:
    projected(wired, a_record(version=1))
    view.apply([a_tombstone(version=2)])
    assert reconcile.step().repaired == 1
    found = copies.find_one({"_id": "n-1"})
    assert found is not None
    assert found["live"]


def test_copy_of_a_version_written_during_the_comparison_is_kept(
    wired: Projector, view: View, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a record that is written between the read of the records and the read of the copies
    projected(wired, a_record(version=1))
    walk = Records.walk

    def overtaken(self: Records, *asked: Any) -> Any:
        found = walk(self, *asked)
        put(a_record(version=2))
        view.apply([a_record(version=2)])
        return found

    forgotten: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(Records, "walk", overtaken)
        patch.setattr(View, "forget", lambda _self, *copy: forgotten.append(copy))
        # When
        reconcile.step()
    # Then
    assert forgotten == []
    assert view.sequences(NOTE.name, ["n-1"]) == {"n-1": 2}
