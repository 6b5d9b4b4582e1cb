"""Slots and breakers: bounds per owner and lane, leases that end, and lanes that close after failures."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.collection import Collection
from pymongo.database import Database

from chalicelib.core.queueing.slots import Lane, Limits, Slot, Slots

Owners = Collection[dict[str, Any]]
LEASE_MS = 60_000
ANN, ANN_TOO, BEN = Lane("ann", "ann/a.example"), Lane("ann", "ann/b.example"), Lane("ben", "ben/a.example")


@pytest.fixture
def owners(mongodb: Database[dict[str, Any]]) -> Iterator[Owners]:
    collection = mongodb["owners-of-lanes"]
    yield collection
    collection.drop()


@pytest.fixture
def slots(owners: Owners) -> Slots:
    return Slots(owners, Limits(per_owner=3, per_lane=2))


def close(slots: Slots, lane: Lane) -> int:
    """Let calls fail until the lane closes; return for how many milliseconds."""
    for _ in range(5):
        if (closed_ms := slots.fail(lane)) is not None:
            return closed_ms
    raise AssertionError("the lane is still open")


def end_closing(owners: Owners) -> None:
    """Set the end of every closing back."""
    owners.update_many({}, {"$set": {"breakers.$[].opensAt": datetime.now(UTC) - timedelta(seconds=1)}})


def test_a_lane_and_an_owner_have_so_many_slots(slots: Slots) -> None:
    taken = [slots.take(lane, LEASE_MS) for lane in (ANN, ANN, ANN, ANN_TOO, ANN_TOO, BEN)]
    assert [slot is not None for slot in taken] == [True, True, False, True, False, True]


def test_a_released_slot_is_free(slots: Slots) -> None:
    first, _ = slots.take(ANN, LEASE_MS), slots.take(ANN, LEASE_MS)
    assert first is not None
    for _ in range(2):
        slots.release(first)
    assert slots.take(ANN, LEASE_MS) is not None
    assert slots.take(ANN, LEASE_MS) is None


def test_a_dead_workers_slot_is_free_after_its_lease(slots: Slots, owners: Owners) -> None:
    slots.take(ANN, LEASE_MS)
    slots.take(ANN, LEASE_MS)
    owners.update_one({"_id": "ann"}, {"$set": {"slots.0.until": datetime.now(UTC) - timedelta(seconds=1)}})
    assert slots.take(ANN, LEASE_MS) is not None
    assert slots.take(ANN, LEASE_MS) is None


def test_racing_workers_never_take_more_slots_than_there_are(slots: Slots) -> None:
    found: list[Slot | None] = []
    racers = [threading.Thread(target=lambda: found.append(slots.take(ANN, LEASE_MS))) for _ in range(24)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sum(slot is not None for slot in found) == 2


def test_a_lane_closes_after_five_failures_in_a_row(slots: Slots) -> None:
    for _ in range(4):
        assert slots.fail(ANN) is None
    slots.recover(ANN)
    assert 10_000 <= close(slots, ANN) <= 12_000
    assert slots.take(ANN, LEASE_MS) is None
    assert slots.take(ANN_TOO, LEASE_MS) is not None
    assert [each.lane for each in slots.closed("ann")] == [ANN.name]


def test_a_closed_lane_opens_for_one_probe(slots: Slots, owners: Owners) -> None:
    close(slots, ANN)
    end_closing(owners)
    probe = slots.take(ANN, LEASE_MS)
    assert probe is not None
    assert probe.failing
    assert slots.take(ANN, LEASE_MS) is None
    slots.recover(ANN)
    assert slots.take(ANN, LEASE_MS) is not None


def test_a_failed_probe_closes_the_lane_for_twice_as_long(slots: Slots, owners: Owners) -> None:
    close(slots, ANN)
    end_closing(owners)
    assert 20_000 <= (slots.fail(ANN) or 0) <= 24_000
    for _ in range(20):
        end_closing(owners)
        longest = slots.fail(ANN) or 0
    assert 900_000 <= longest <= 1_080_000


def test_calls_that_began_before_the_closing_do_not_lengthen_it(slots: Slots) -> None:
    closed_ms = close(slots, ANN)
    assert (slots.fail(ANN) or 0) <= closed_ms


@pytest.mark.parametrize("name", ["$slots", "a.b.c", "x" * 300])
def test_any_name_is_taken_literally(slots: Slots, name: str) -> None:
    lane = Lane(name, name)
    close(slots, lane)
    assert slots.take(lane, LEASE_MS) is None
    slots.recover(lane)
    assert slots.take(lane, LEASE_MS) is not None
