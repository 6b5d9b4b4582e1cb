"""Deliveries of a batch of events, for many webhooks in one transaction."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.webhooks import recorder, wiring
from chalicelib.webhooks.models import Reason
from chalicelib.webhooks.recorder import Recorder, Wanted
from tests.unit.webhooks.build import happening

HOOKS = [f"hook-{number}" for number in range(6)]


@pytest.fixture
def records(mongodb: Any) -> Recorder:
    mongodb.webhook_heads.delete_many({})
    return wiring.deliveries().recorder


def sequences(mongodb: Any, webhook_id: str) -> list[int]:
    return sorted(found["sequence"] for found in mongodb.deliveries.find({"webhook": webhook_id}))


def events(*numbers: int) -> Any:
    return tuple(happening(number) for number in numbers)


def test_each_webhook_of_a_batch_gets_its_own_events(records: Recorder, mongodb: Any) -> None:
    wanted = [Wanted("hook-1", events(1, 2)), Wanted("hook-2", events(2), Reason.DISABLED)]
    assert records.record(wanted) == {"hook-1": 2, "hook-2": 1}
    assert [sequences(mongodb, each) for each in ("hook-1", "hook-2")] == [[1, 2], [1]]
    assert mongodb.deliveries.find_one({"webhook": "hook-2"})["reason"] == "disabled"
    # A repeat makes none, and a batch with one new event makes that alone.
    assert records.record(wanted) == {"hook-1": 0, "hook-2": 0}
    assert records.record([Wanted("hook-1", events(2, 3)), wanted[1]]) == {"hook-1": 1, "hook-2": 0}
    assert sequences(mongodb, "hook-1") == [1, 2, 3]


@pytest.mark.parametrize("most", [1, 60])
def test_batches_of_many_webhooks_at_once_leave_no_gap(
    records: Recorder, mongodb: Any, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    # Given batches that overlap, each twice, for webhooks in any order; in one transaction, or in one for each webhook
    monkeypatch.setattr(recorder, "_PART", most)
    chance, batches = random.Random(16), []
    for first in [*range(1, 30, 5)] * 2:
        own = events(*range(first, first + 10))
        batches.append([Wanted(each, own) for each in chance.sample(HOOKS, len(HOOKS))])
    chance.shuffle(batches)
    # When
    with ThreadPoolExecutor(4) as pool:
        made = sum(sum(each.values()) for each in pool.map(records.record, batches))
    # Then
    assert made == 35 * len(HOOKS)
    assert all(sequences(mongodb, each) == list(range(1, 36)) for each in HOOKS)
