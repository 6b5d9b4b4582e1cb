"""Counts are exact, cost one round trip to read, and move only in the transaction of the counted thing."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.stub import Stubber

from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.counts import Counts
from chalicelib.core.errors import Unavailable
from chalicelib.core.stores import clients
from chalicelib.core.stores.attributes import to_attributes
from chalicelib.core.stores.dynamodb import Table, TransactionRefused, Write
from tests.support.concurrency import race
from tests.unit.core.conftest import NAME


@pytest.fixture
def counts(dynamodb: Any) -> Counts:
    return coordination_wiring.counts()


def move(*writes: Write) -> None:
    clients.table("coordination").transact(writes)


def test_count_never_moved_is_zero(counts: Counts) -> None:
    assert counts.read(["a"], ["done", "failed"]) == {"a": {"done": 0, "failed": 0}}


def test_all_concurrent_moves_are_counted(counts: Counts) -> None:
    def mover(field: str) -> Callable[[], None]:
        return lambda: move(counts.adding("a", field))

    race([mover("done")] * 40 + [mover("failed")] * 24)
    assert counts.read(["a"], ["done", "failed"]) == {"a": {"done": 40, "failed": 24}}


def test_names_and_fields_are_counted_apart(counts: Counts) -> None:
    for name, field, times in (("a", "done", 3), ("a", "failed", 1), ("a-b", "done", 2)):
        for _ in range(times):
            move(counts.adding(name, field))
    assert counts.read(["a", "a-b", "b"], ["done"]) == {"a": {"done": 3}, "a-b": {"done": 2}, "b": {"done": 0}}


def test_count_does_not_move_when_its_transaction_is_refused(counts: Counts) -> None:
    never = clients.table("coordination").update_entry("x", "SET a = :a", when="a = :a", values={":a": "there"})
    with pytest.raises(TransactionRefused):
        move(never, counts.adding("a", "done"))
    assert counts.read(["a"], ["done"]) == {"a": {"done": 0}}


def test_moves_of_a_count_are_spread_over_eight_items(counts: Counts) -> None:
    keys = {counts.adding("a", "done")["Update"]["Key"]["pk"]["S"] for _ in range(200)}
    assert len(keys) == 8


@pytest.mark.parametrize(("names", "round_trips"), [(1, 1), (12, 1), (13, 2), (30, 3)])
def test_twelve_counts_are_read_in_one_round_trip(counts: Counts, dynamodb: Any, names: int, round_trips: int) -> None:
    asked: list[int] = []
    note = partial(_note, asked)
    dynamodb.meta.events.register("provide-client-params.dynamodb.BatchGetItem", note)
    move(counts.adding(f"n{names - 1}", "done"))
    found = counts.read([f"n{number}" for number in range(names)], ["done"])
    dynamodb.meta.events.unregister("provide-client-params.dynamodb.BatchGetItem", note)
    assert sum(count["done"] for count in found.values()) == 1
    assert len(asked) == round_trips
    assert max(asked) <= 100


def _note(asked: list[int], params: dict[str, Any], **_: Any) -> None:
    (wanted,) = params["RequestItems"].values()
    assert wanted["ConsistentRead"]
    asked.append(len(wanted["Keys"]))


def _stubbed(dynamodb: Any, answers: list[dict[str, Any]], pauses: list[float]) -> Counts:
    stubber = Stubber(dynamodb)
    for answer in answers:
        stubber.add_response("batch_get_item", answer)
    stubber.activate()
    return Counts(Table(dynamodb, NAME, pause=pauses.append))


def _rest() -> dict[str, Any]:
    return {NAME: {"Keys": [to_attributes({"pk": "count#a#1"})], "ConsistentRead": True}}


@pytest.fixture
def bare(aws: None) -> Any:
    """A client for stubbing, used by this test alone."""
    import botocore.session  # noqa: PLC0415 # only here

    return botocore.session.get_session().create_client("dynamodb", region_name="us-east-1")


def test_unprocessed_keys_are_read_after_a_pause(bare: Any) -> None:
    pauses: list[float] = []
    first = {"Responses": {NAME: [to_attributes({"pk": "count#a#0", "done": 2})]}, "UnprocessedKeys": _rest()}
    second = {"Responses": {NAME: [to_attributes({"pk": "count#a#1", "done": 3})]}}
    assert _stubbed(bare, [first, second], pauses).read(["a"], ["done"]) == {"a": {"done": 5}}
    assert len(pauses) == 1


def test_keys_that_stay_unprocessed_are_unavailable(bare: Any) -> None:
    answers = [{"Responses": {}, "UnprocessedKeys": _rest()}] * 10
    with pytest.raises(Unavailable):
        _stubbed(bare, answers, []).read(["a"], ["done"])
