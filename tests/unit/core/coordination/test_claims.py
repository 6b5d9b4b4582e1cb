"""Claimed work is done once, also when its first attempt died; every caller gets the same result."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.coordination.errors import AlreadyDone, ClaimLost, GuardedRefused, OtherRequest, StillRunning
from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import deadline
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores.dynamodb import Table
from tests.support.concurrency import race
from tests.support.faulty_network import EPOCH_MS, Fate, FaultyNetwork, Invocation, Process
from tests.unit.core.conftest import NAME

SKEW_MS, LEASE_MS = 50, 10_000
SETTINGS = CoordinationSettings(skew_allowance_ms=SKEW_MS, claim_lease_ms=LEASE_MS)
DEAD_MS = LEASE_MS + SKEW_MS + 1
DAY = 24 * 3600

Begin = Callable[..., Claim]


@pytest.fixture
def claims(network: FaultyNetwork, table: Table) -> Claims:
    return Claims(table, SETTINGS, now=Process(network).now)


@pytest.fixture
def begin(claims: Claims) -> Begin:
    return partial(claims.begin, "work", ttl_seconds=DAY)


def test_claimed_work_is_not_claimed_again(begin: Begin) -> None:
    claim = begin()
    assert not claim.taken_over
    with pytest.raises(StillRunning) as running:
        begin()
    assert running.value.headers() == {"Retry-After": "1"}


def test_claim_of_done_work_returns_its_result(claims: Claims, begin: Begin) -> None:
    claims.finish(begin(), "the result")
    with pytest.raises(AlreadyDone) as done:
        begin()
    assert done.value.result == "the result"


def test_work_is_taken_over_only_after_lease_and_skew_allowance(network: FaultyNetwork, begin: Begin) -> None:
    # Given
    first = begin()
    network.ms += DEAD_MS - 1
    with pytest.raises(StillRunning):
        begin()
    # When
    network.ms += 1
    second = begin()
    # Then
    assert second.taken_over
    assert second.attempt != first.attempt
    assert second.resource_id == first.resource_id


def test_attempt_taken_over_cannot_finish(network: FaultyNetwork, claims: Claims, begin: Begin, table: Table) -> None:
    # Given
    dead = begin()
    network.ms += DEAD_MS
    living = begin()
    beside = table.update_entry("beside", "SET mark = :mark", values={":mark": "dead"})
    # When
    for also in ([], [beside]):
        with pytest.raises(ClaimLost):
            claims.finish(dead, "of the dead", also)
    # Then
    assert table.get("beside") is None
    claims.finish(living, "of the living")
    with pytest.raises(AlreadyDone) as done:
        begin()
    assert done.value.result == "of the living"
    # And not afterwards either
    for also in ([], [beside]):
        with pytest.raises(ClaimLost):
            claims.finish(dead, "of the dead", also)


def test_expired_attempt_may_finish_until_it_is_taken_over(
    network: FaultyNetwork, claims: Claims, begin: Begin
) -> None:
    claim = begin()
    network.ms += 10 * LEASE_MS
    claims.finish(claim, "late")
    with pytest.raises(AlreadyDone):
        begin()


@pytest.mark.parametrize("beside", [False, True])
def test_finishing_twice_is_harmless(claims: Claims, begin: Begin, table: Table, beside: bool) -> None:
    claim = begin()
    also = [table.update_entry("beside", "ADD times :one", values={":one": 1})] if beside else []
    claims.finish(claim, "result", also)
    claims.finish(claim, "result", also)
    assert (table.get("beside") or {}).get("times") == (1 if beside else None)


def test_finishing_after_a_lost_answer_is_harmless(network: FaultyNetwork, claims: Claims, begin: Begin) -> None:
    claim = begin()
    with network.send("finish", [Fate.LOST]), pytest.raises(Unavailable):
        claims.finish(claim, "result")
    claims.finish(claim, "result")
    with network.send("finish", [Fate.TWICE]):
        claims.finish(claim, "result")


def test_result_and_its_companion_write_are_atomic(claims: Claims, begin: Begin, table: Table) -> None:
    claim = begin()
    impossible = table.update_entry("beside", "SET a = :a", when="a = :a", values={":a": 1})
    with pytest.raises(GuardedRefused):
        claims.finish(claim, "result", [impossible])
    with pytest.raises(StillRunning):
        begin()
    claims.finish(claim, "result", [table.update_entry("beside", "SET a = :a", values={":a": 1})])
    assert (table.get("beside") or {})["a"] == 1


def test_abandoned_work_is_claimed_at_once_with_the_same_resource(claims: Claims, begin: Begin) -> None:
    first = begin()
    claims.abandon(first)
    claims.abandon(first)
    second = begin()
    assert (second.taken_over, second.resource_id) == (True, first.resource_id)
    # And the first attempt cannot abandon the claim of the second
    claims.abandon(first)
    with pytest.raises(StillRunning):
        begin()
    with pytest.raises(ClaimLost):
        claims.finish(first, "of one who gave up")


def test_done_work_is_not_abandoned(claims: Claims, begin: Begin) -> None:
    claim = begin()
    claims.finish(claim, "result")
    claims.abandon(claim)
    with pytest.raises(AlreadyDone):
        begin()


def test_a_key_belongs_to_one_request(network: FaultyNetwork, claims: Claims, begin: Begin) -> None:
    claim = begin(fingerprint="one")
    with pytest.raises(OtherRequest):
        begin(fingerprint="two")
    network.ms += DEAD_MS
    with pytest.raises(OtherRequest):
        begin(fingerprint="two")
    claims.finish(claim, "result")
    with pytest.raises(OtherRequest):
        begin(fingerprint="two")
    with pytest.raises(AlreadyDone):
        begin(fingerprint="one")


def test_claim_past_its_ttl_is_made_anew_before_it_is_deleted(
    network: FaultyNetwork, claims: Claims, begin: Begin
) -> None:
    # Given
    first = begin(ttl_seconds=60, fingerprint="one")
    claims.finish(first, "result")
    # When the claim lasts for its whole TTL
    network.ms += 60_000
    with pytest.raises(AlreadyDone):
        begin(ttl_seconds=60, fingerprint="one")
    # Then the claim has expired
    network.ms += 1_000
    second = begin(ttl_seconds=60, fingerprint="two")
    assert not second.taken_over
    assert second.resource_id != first.resource_id


def test_a_claim_outlives_its_lease_however_short_its_ttl(network: FaultyNetwork, begin: Begin) -> None:
    first = begin(ttl_seconds=1)
    network.ms += LEASE_MS
    with pytest.raises(StillRunning):
        begin(ttl_seconds=1)
    assert (network.look(NAME, "claim#work") or {})["ttl"] * 1000 >= EPOCH_MS + LEASE_MS + SKEW_MS
    network.ms += SKEW_MS + 1
    assert begin(ttl_seconds=1).resource_id == first.resource_id


def test_takeover_renews_the_ttl_of_the_claim(network: FaultyNetwork, begin: Begin) -> None:
    begin(ttl_seconds=60)
    network.ms += 55_000
    begin(ttl_seconds=60)
    network.ms += 9_000
    with pytest.raises(StillRunning):
        begin(ttl_seconds=60)
    assert (network.look(NAME, "claim#work") or {})["ttl"] == EPOCH_MS // 1000 + 55 + 60


def test_claim_lease_is_cut_to_the_invocations_remaining_time(network: FaultyNetwork, begin: Begin) -> None:
    for left_ms in (200, 0):
        with deadline.bind(Invocation(left_ms)):
            claim = begin()
        assert (network.look(NAME, "claim#work") or {})["leaseUntil"] == network.now_ms() + left_ms
        network.ms += left_ms + SKEW_MS + 1
    assert begin().resource_id == claim.resource_id


def test_claim_retried_after_a_lost_answer_succeeds(network: FaultyNetwork, claims: Claims, begin: Begin) -> None:
    with network.send("begin", [Fate.TWICE]):
        claim = begin()
    assert not claim.taken_over
    claims.finish(claim, "result")


def test_takeover_retried_after_a_lost_answer_succeeds(network: FaultyNetwork, claims: Claims, begin: Begin) -> None:
    first = begin()
    network.ms += DEAD_MS
    with network.send("begin", [Fate.FINE, Fate.TWICE]):
        second = begin()
    assert (second.taken_over, second.resource_id) == (True, first.resource_id)
    claims.finish(second, "result")


def test_takeover_that_loses_to_a_result_returns_the_result(
    network: FaultyNetwork, claims: Claims, begin: Begin, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an expired attempt that finishes during the takeover
    claim, update = begin(), table.update
    network.ms += DEAD_MS

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(table, "update", update)
        claims.finish(claim, "just in time")
        return update(*arguments, **options)

    monkeypatch.setattr(table, "update", meanwhile)
    # When, then
    with pytest.raises(AlreadyDone) as done:
        begin()
    assert done.value.result == "just in time"


def test_done_work_is_reopened_once_with_the_same_resource(claims: Claims, begin: Begin) -> None:
    # Given
    first = begin()
    with pytest.raises(StillRunning):
        claims.reopen("work", "failed", ttl_seconds=DAY)
    claims.finish(first, "failed")
    # When
    second = claims.reopen("work", "failed", ttl_seconds=DAY)
    # Then
    assert (second.taken_over, second.resource_id) == (True, first.resource_id)
    with pytest.raises(StillRunning):
        claims.reopen("work", "failed", ttl_seconds=DAY)
    with pytest.raises(ClaimLost):
        claims.finish(first, "of the first")
    claims.finish(second, "done")
    # And a caller that saw only the first result does not repeat the work
    with pytest.raises(StillRunning):
        claims.reopen("work", "failed", ttl_seconds=DAY)


def test_reopening_retried_after_a_lost_answer_succeeds(network: FaultyNetwork, claims: Claims, begin: Begin) -> None:
    claims.finish(begin(ttl_seconds=60), "failed")
    network.ms += 50_000
    with network.send("reopen", [Fate.TWICE]):
        claim = claims.reopen("work", "failed", ttl_seconds=60)
    assert (network.look(NAME, "claim#work") or {})["ttl"] == EPOCH_MS // 1000 + 50 + 60
    claims.finish(claim, "done")


def test_once_runs_once_and_answers_the_same_to_all(claims: Claims) -> None:
    runs: list[Claim] = []

    def work(claim: Claim) -> str:
        runs.append(claim)
        return f"made {claim.resource_id}"

    answers = {claims.once("work", work, ttl_seconds=DAY) for _ in range(3)}
    assert answers == {f"made {runs[0].resource_id}"}
    assert len(runs) == 1


def test_failed_work_is_claimed_at_once_with_the_same_resource(claims: Claims) -> None:
    seen = []

    def failing(claim: Claim) -> str:
        seen.append(claim.resource_id)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        claims.once("work", failing, ttl_seconds=DAY)
    assert claims.once("work", lambda claim: claim.resource_id, ttl_seconds=DAY) == seen[0]


def test_work_longer_than_its_lease_fails_once_taken_over(network: FaultyNetwork, claims: Claims) -> None:
    def slow(_: Claim) -> str:
        network.ms += DEAD_MS
        return "slow, and " + claims.once("work", lambda claim: "quick", ttl_seconds=DAY)

    with pytest.raises(ClaimLost):
        claims.once("work", slow, ttl_seconds=DAY)
    assert claims.once("work", slow, ttl_seconds=DAY) == "quick"


def test_of_many_concurrent_claims_one_begins_and_one_takes_over(network: FaultyNetwork, begin: Begin) -> None:
    resources = set()
    for _ in range(4):
        results = race([begin] * 16)
        (claim,) = [result for result in results if isinstance(result, Claim)]
        assert sum(isinstance(result, StillRunning) for result in results) == 15
        resources.add(claim.resource_id)
        network.ms += DEAD_MS
    assert len(resources) == 1


def test_keys_may_hold_any_characters(claims: Claims) -> None:
    claim = claims.begin("a#b#ü", ttl_seconds=DAY)
    claims.abandon(claim)
    assert claims.begin("a#b#ü", ttl_seconds=DAY).key == "a#b#ü"
