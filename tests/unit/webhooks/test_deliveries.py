"""Deliveries: one for each event and webhook, numbered without gaps, claimed by one attempt at a time."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.webhooks import wiring
from chalicelib.webhooks.attempts import Decision, Result
from chalicelib.webhooks.deliveries import Claimed, Deliveries
from chalicelib.webhooks.models import Reason, Status
from tests.unit.webhooks.build import happening, state

HOOK, OTHER = "hook-1", "hook-2"
LEASE_MS = 30_000
FAILED = Result(7, status=500, answer="no ünicode\x00")
AGAIN = Decision(Status.DUE, pause_ms=60_000)


@pytest.fixture
def deliveries(mongodb: Any) -> Deliveries:
    return wiring.deliveries()


def claim(deliveries: Deliveries, *, oldest: bool = False) -> Claimed:
    found = deliveries.claim(HOOK, LEASE_MS, oldest=oldest)
    assert found
    return found


def sequences(mongodb: Any, webhook_id: str = HOOK) -> list[int]:
    return sorted(found["sequence"] for found in mongodb.deliveries.find({"webhook": webhook_id}))


def make_due(mongodb: Any, delivery_id: str) -> None:
    mongodb.deliveries.update_one({"_id": delivery_id}, {"$set": {"due": datetime.now(UTC) - timedelta(seconds=1)}})


def test_a_delivery_holds_the_bytes_that_are_signed(deliveries: Deliveries, mongodb: Any) -> None:
    assert deliveries.record(HOOK, [happening(1)]) == 1
    found = mongodb.deliveries.find_one({})
    assert json.loads(found["body"]) == {
        "type": "note.updated",
        "id": found["_id"],
        "timestamp": "2026-01-01T00:00:00.000Z",
        "sequence": 1,
        "data": {"number": 1},
    }


def test_batches_that_come_twice_and_at_once_leave_no_gap(deliveries: Deliveries, mongodb: Any) -> None:
    # Given batches that overlap, each twice, in any order
    batches = [[happening(each) for each in range(first, first + 10)] for first in range(1, 60, 5)] * 2
    random.Random(16).shuffle(batches)
    # When eight workers record them at once, some of which must repeat their transaction
    with ThreadPoolExecutor(8) as pool:
        made = sum(pool.map(lambda batch: deliveries.record(HOOK, batch), batches))
    # Then
    assert made == 65
    assert sequences(mongodb) == list(range(1, 66))
    assert mongodb.webhook_heads.find_one({"_id": HOOK})["head"] == 65


def test_each_webhook_has_numbers_of_its_own(deliveries: Deliveries, mongodb: Any) -> None:
    deliveries.record(HOOK, [happening(1), happening(2)])
    deliveries.record(OTHER, [happening(2)])
    assert (sequences(mongodb), sequences(mongodb, OTHER)) == ([1, 2], [1])


def test_of_many_workers_one_claims_a_delivery(deliveries: Deliveries) -> None:
    deliveries.record(HOOK, [happening(each) for each in range(1, 6)])
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda _: deliveries.claim(HOOK, LEASE_MS), range(16)))
    ids = [each.id for each in claims if each]
    assert len(ids) == len(set(ids)) == 5


def test_a_delivery_whose_worker_died_is_claimed_again(deliveries: Deliveries, mongodb: Any) -> None:
    deliveries.record(HOOK, [happening(1)])
    lost = claim(deliveries)
    assert deliveries.claim(HOOK, LEASE_MS) is None
    make_due(mongodb, lost.id)
    again = claim(deliveries)
    assert (again.id, again.tries) == (lost.id, 2)
    # The attempt that lost its claim changes nothing any more.
    deliveries.finish(lost, Result(1, status=204), Decision(Status.DELIVERED))
    assert state(lost.id, mongodb)["status"] == "in-flight"


def test_a_finished_delivery_keeps_its_attempts(deliveries: Deliveries, mongodb: Any) -> None:
    deliveries.record(HOOK, [happening(1)])
    first = claim(deliveries)
    deliveries.finish(first, FAILED, AGAIN)
    assert deliveries.claim(HOOK, LEASE_MS) is None
    make_due(mongodb, first.id)
    deliveries.finish(claim(deliveries), Result(3, status=204), Decision(Status.DELIVERED))
    found = state(first.id, mongodb)
    told = [(each["trigger"], each["status"], each["latencyMs"], each["answer"]) for each in found["attempts"]]
    assert told == [("schedule", 500, 7, FAILED.answer), ("schedule", 204, 3, "")]
    assert (found["status"], "due" in found, "claim" in found) == ("delivered", False, False)


def test_a_claim_given_back_uses_up_no_attempt(deliveries: Deliveries, mongodb: Any) -> None:
    deliveries.record(HOOK, [happening(1)])
    claimed = claim(deliveries)
    deliveries.put_back(claimed, 0)
    found = state(claimed.id, mongodb)
    assert (found["status"], found["tries"], found["attempts"]) == ("due", 0, [])
    assert claim(deliveries).tries == 1


@pytest.mark.parametrize("before", [{"status": "dead", "reason": "exhausted"}, {"status": "delivered"}])
def test_a_failed_replay_leaves_the_state_before(deliveries: Deliveries, mongodb: Any, before: dict[str, str]) -> None:
    # Given
    deliveries.record(HOOK, [happening(1)])
    id_ = mongodb.deliveries.find_one({})["_id"]
    now = datetime.now(UTC) - timedelta(seconds=1)
    mongodb.deliveries.update_one({"_id": id_}, {"$set": {"due": now, "trigger": "manual", "resume": before}})
    # When
    claimed = claim(deliveries)
    deliveries.finish(claimed, FAILED, AGAIN)
    # Then
    found = state(id_, mongodb)
    assert claimed.tries == 0
    assert found["attempts"][0]["trigger"] == "manual"
    assert {name: found.get(name) for name in before} == before
    assert ("due" in found, "resume" in found, found["trigger"]) == (False, False, "schedule")


def test_behind_a_failing_receiver_the_oldest_delivery_comes_first(deliveries: Deliveries, mongodb: Any) -> None:
    deliveries.record(HOOK, [happening(1), happening(2)])
    first = claim(deliveries)
    deliveries.finish(first, FAILED, Decision(Status.DUE, pause_ms=0))
    assert claim(deliveries, oldest=True).id == first.id


def test_a_delivery_caused_by_more_than_five_hops_is_refused(deliveries: Deliveries, mongodb: Any) -> None:
    deliveries.record(HOOK, [happening(1, hops=4), happening(2, hops=5)])
    found = [(each["hops"], each["status"], each.get("reason")) for each in mongodb.deliveries.find({}).sort("_id")]
    assert sorted(found, key=lambda each: each[0]) == [(5, "due", None), (6, "dead", "loop")]


def test_deliveries_end_with_their_webhook(deliveries: Deliveries, mongodb: Any) -> None:
    # Given one in flight
    deliveries.record(HOOK, [happening(1), happening(2)])
    deliveries.record(OTHER, [happening(1)])
    flying = claim(deliveries)
    # When, Then the one in flight ends after its attempt
    assert deliveries.end_all(HOOK, Reason.DELETED) == 1
    deliveries.finish(flying, FAILED, Decision(Status.DUE, pause_ms=0))
    assert deliveries.end_all(HOOK, Reason.DELETED) == 1
    assert [each["reason"] for each in mongodb.deliveries.find({"webhook": HOOK})] == ["deleted"] * 2
    assert mongodb.deliveries.find_one({"webhook": OTHER})["status"] == "due"


def test_a_delivery_still_due_after_its_time_expires(deliveries: Deliveries, mongodb: Any) -> None:
    deliveries.record(HOOK, [happening(1), happening(2)])
    id_ = claim(deliveries).id
    past = datetime.now(UTC) - timedelta(seconds=1)
    mongodb.deliveries.update_many({}, {"$set": {"expiresAt": past}})
    # The one in flight is left to its attempt.
    assert deliveries.expire() == 1
    make_due(mongodb, id_)
    assert claim(deliveries).expired


def test_a_test_delivery_takes_no_number(deliveries: Deliveries, mongodb: Any) -> None:
    for _ in range(2):
        id_ = deliveries.test(HOOK, happening(1, event_id="test/1"))
    assert (state(id_, mongodb)["sequence"], mongodb.webhook_heads.count_documents({})) == (None, 0)
