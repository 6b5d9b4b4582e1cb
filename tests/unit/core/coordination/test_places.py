"""Places: never more waiting requests than places, never more of one caller than its share, and none lost for good."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database

from chalicelib.core.coordination.places import Lease, Places
from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import waiting
from chalicelib.core.runtime.settings import WaitingSettings
from tests.support.concurrency import race

Mongo = Database[dict[str, Any]]
WAIT_MS = 20_000
STEPS = st.sampled_from(["take", "back", "die"])


@pytest.fixture
def make(mongodb: Mongo) -> Callable[..., Places]:
    def places(total: int, share: int) -> Places:
        mongodb.places.delete_many({})
        return Places(mongodb.places, WaitingSettings(places=total, places_per_caller=share))

    return places


def held(mongodb: Mongo) -> list[str]:
    """Return the caller of each lease."""
    found = mongodb.places.find_one() or {"leases": []}
    return [lease["caller"] for lease in found["leases"]]


def writes(mongodb: Mongo) -> int:
    """Return the number of writes to the collection, as the replica set's log has them."""
    return mongodb.client.local["oplog.rs"].count_documents({"ns": mongodb.places.full_name})


def expire_leases(mongodb: Mongo, caller: str) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    wanted = [{"lease.caller": caller}]
    mongodb.places.update_one({}, {"$set": {"leases.$[lease].until": past}}, array_filters=wanted)


# --- bounds


def test_places_in_all_are_given_once_under_concurrent_takes(make: Callable[..., Places], mongodb: Mongo) -> None:
    places = make(7, 7)
    taken = race([partial(places.take, f"caller-{number}", WAIT_MS) for number in range(30)])
    assert len([lease for lease in taken if lease]) == 7 == len(held(mongodb))


def test_caller_gets_no_more_than_its_share_concurrently(make: Callable[..., Places], mongodb: Mongo) -> None:
    places = make(20, 3)
    taken = race([partial(places.take, name, WAIT_MS) for name in ("ann", "bob") for _ in range(15)])
    assert len([lease for lease in taken if lease]) == 6
    assert sorted(held(mongodb)) == ["ann"] * 3 + ["bob"] * 3


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["take", "back", "die"]), st.sampled_from(["ann", "bob", "$cy"])), max_size=25)
)
def test_places_follow_a_model_of_takes_returns_and_deaths(
    make: Callable[..., Places], mongodb: Mongo, steps: list[tuple[str, str]]
) -> None:
    places, model = make(4, 2), dict[str, list[Lease]]()
    for step, caller in steps:
        own = model.setdefault(caller, [])
        if step == "take":
            fits = len(own) < 2 and sum(map(len, model.values())) < 4
            lease = places.take(caller, WAIT_MS)
            assert (lease is not None) == fits
            own += [lease] if lease else []
        elif step == "back" and own:
            places.give_back(own.pop())
        elif step == "die":
            # The processes of this caller were killed, and the leases have ended.
            expire_leases(mongodb, caller)
            own.clear()


# --- leases


def test_place_is_free_again_after_the_block(make: Callable[..., Places], mongodb: Mongo) -> None:
    places = make(1, 1)
    with places.place("ann", WAIT_MS) as free:
        assert free
        with places.place("bob", WAIT_MS) as second:
            assert not second
    assert held(mongodb) == []


def test_place_is_free_again_after_an_exception(make: Callable[..., Places], mongodb: Mongo) -> None:
    with pytest.raises(LookupError), make(1, 1).place("ann", WAIT_MS):
        raise LookupError
    assert held(mongodb) == []


def test_lease_outlasts_its_wait_and_the_document_its_leases(make: Callable[..., Places], mongodb: Mongo) -> None:
    places, before = make(2, 2), datetime.now(UTC)
    places.take("ann", WAIT_MS)
    found: Any = mongodb.places.find_one()
    lasts = found["leases"][0]["until"] - before
    assert timedelta(milliseconds=WAIT_MS + 2_000) < lasts < timedelta(milliseconds=WAIT_MS + 15_000)
    assert found["purgeAt"] == found["leases"][0]["until"]


def test_returning_a_lease_twice_frees_one_place(make: Callable[..., Places], mongodb: Mongo) -> None:
    places = make(3, 3)
    first = places.take("ann", WAIT_MS)
    places.take("ann", WAIT_MS)
    assert first
    for _ in range(2):
        places.give_back(first)
    assert held(mongodb) == ["ann"]


def test_retry_replaces_the_lease_of_the_attempt_that_died(make: Callable[..., Places], mongodb: Mongo) -> None:
    places = make(2, 2)
    died = places.take("ann", WAIT_MS, "first")
    assert places.take("ann", WAIT_MS, "second")
    assert places.take("ann", WAIT_MS, "third") is None
    again = places.take("ann", WAIT_MS, "first")
    assert again != died
    assert held(mongodb) == ["ann", "ann"]
    # The attempt was not dead after all: the end of its wait frees nothing.
    assert died
    places.give_back(died)
    assert held(mongodb) == ["ann", "ann"]


def test_refused_take_writes_nothing(make: Callable[..., Places], mongodb: Mongo) -> None:
    places = make(1, 1)
    places.take("ann", WAIT_MS)
    before = writes(mongodb)
    assert [places.take("bob", WAIT_MS) for _ in range(5)] == [None] * 5
    assert writes(mongodb) == before > 0


# --- the process


def test_request_without_a_place_in_its_process_keeps_none(make: Callable[..., Places], mongodb: Mongo) -> None:
    with waiting.bind(lambda: False), make(1, 1).place("ann", WAIT_MS) as free:
        assert not free
    assert held(mongodb) == []


def test_process_counts_only_requests_with_a_place(make: Callable[..., Places]) -> None:
    def begin() -> bool:
        raise AssertionError

    places = make(1, 1)
    places.take("ann", WAIT_MS)
    with waiting.bind(begin), places.place("ann", WAIT_MS) as free:
        assert not free


# --- a store that is down


def test_unreachable_store_refuses_a_place_and_ignores_a_return() -> None:
    gone: MongoClient[dict[str, Any]] = MongoClient("mongodb://127.0.0.1:9", serverSelectionTimeoutMS=50)
    places = Places(gone.holdfast.places, WaitingSettings())
    with pytest.raises(Unavailable):
        places.take("ann", WAIT_MS)
    places.give_back(Lease("any"))
    gone.close()
