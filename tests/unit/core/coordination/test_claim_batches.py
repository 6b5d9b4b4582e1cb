"""Claims of a batch: begun in one transaction, finished in one, and decided one by one where that is refused."""

from typing import Any

import pytest

from chalicelib.core.coordination.claims import Claims
from chalicelib.core.coordination.counts import Counts
from chalicelib.core.coordination.errors import AlreadyDone, ClaimLost, StillRunning
from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores.dynamodb import Table
from tests.support.faulty_network import Fate, FaultyNetwork, Process
from tests.unit.core.conftest import NAME

TTL_SECONDS = 3600


@pytest.fixture
def claims(network: FaultyNetwork) -> Claims:
    return Claims(Table(network, NAME, pause=lambda _: None), CoordinationSettings(), now=Process(network).now)


@pytest.fixture
def counts(dynamodb: Any) -> Counts:
    return Counts(Table(dynamodb, NAME))


def done(counts: Counts) -> int:
    return counts.read(["works"], ["done"])["works"]["done"]


def test_keys_with_a_claim_are_left_out_of_a_batch(claims: Claims) -> None:
    claims.begin("a", ttl_seconds=TTL_SECONDS)
    claims.finish(claims.begin("b", ttl_seconds=TTL_SECONDS), "done")
    begun = claims.begin_new(["a", "b", "c", "d"], ttl_seconds=TTL_SECONDS)
    assert set(begun) == {"c", "d"}
    for key in ("a", "c", "d"):
        with pytest.raises(StillRunning):
            claims.begin(key, ttl_seconds=TTL_SECONDS)


def test_a_key_that_remains_alone_is_left_out(claims: Claims) -> None:
    claims.begin("a", ttl_seconds=TTL_SECONDS)
    assert claims.begin_new(["a", "b"], ttl_seconds=TTL_SECONDS) == {}
    assert claims.begin_new(["b"], ttl_seconds=TTL_SECONDS) == {}
    claims.begin("b", ttl_seconds=TTL_SECONDS)


def test_claims_of_a_batch_are_finished_and_counted_once(claims: Claims, counts: Counts) -> None:
    begun = list(claims.begin_new(["a", "b"], ttl_seconds=TTL_SECONDS).values())
    for _ in range(2):
        claims.finish_new(begun, "done", [counts.adding("works", "done", 2)], ttl_seconds=TTL_SECONDS)
    # And a finish of each writes nothing more
    for claim in begun:
        claims.finish(claim, "done", [counts.adding("works", "done")])
        with pytest.raises(AlreadyDone) as found:
            claims.begin(claim.key, ttl_seconds=TTL_SECONDS)
        assert found.value.result == "done"
    assert done(counts) == 2


def test_a_batch_with_a_lost_claim_writes_nothing(claims: Claims, counts: Counts, network: FaultyNetwork) -> None:
    # Given a claim of the batch that was taken over
    a, b = claims.begin_new(["a", "b"], ttl_seconds=TTL_SECONDS).values()
    claims.abandon(b)
    taken = claims.begin("b", ttl_seconds=TTL_SECONDS)
    # When, then
    with pytest.raises(ClaimLost):
        claims.finish_new([a, b], "done", [counts.adding("works", "done", 2)], ttl_seconds=TTL_SECONDS)
    assert done(counts) == 0
    # And each is finished by the attempt that holds the claim
    for claim in (a, taken):
        claims.finish(claim, "done", [counts.adding("works", "done")])
    assert done(counts) == 2


def test_a_finish_that_arrives_late_is_refused(claims: Claims, counts: Counts, network: FaultyNetwork) -> None:
    begun = list(claims.begin_new(["a", "b"], ttl_seconds=TTL_SECONDS).values())
    with network.send("finish", [Fate.LATE]), pytest.raises(Unavailable):
        claims.finish_new(begun, "done", [counts.adding("works", "done", 2)], ttl_seconds=TTL_SECONDS)
    claims.finish(begun[0], "done", [counts.adding("works", "done")])
    # When the delayed transaction arrives in between
    network.deliver()
    claims.finish(begun[1], "done", [counts.adding("works", "done")])
    assert done(counts) == 2


def test_only_deaths_of_single_attempts_are_counted(claims: Claims, network: FaultyNetwork) -> None:
    first = claims.begin_new(["a", "b"], ttl_seconds=TTL_SECONDS)["a"]
    failures = []
    for _ in range(3):
        network.ms += 60_000
        taken = claims.begin("a", ttl_seconds=TTL_SECONDS)
        assert (taken.taken_over, taken.resource_id) == (True, first.resource_id)
        failures.append(taken.failures)
    assert failures == [0, 1, 2]
