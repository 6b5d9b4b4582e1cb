"""Counts are exact, cost one round trip to read, and move only with what they count."""

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


def test_what_never_moved_is_nothing(counts: Counts) -> None:
    assert counts.read(["a"], ["done", "failed"]) == {"a": {"done": 0, "failed": 0}}


def test_every_one_of_many_at_once_is_counted(counts: Counts) -> None:
    def one(field: str) -> Callable[[], None]:
        return lambda: move(counts.adding("a", field))

    race([one("done")] * 40 + [one("failed")] * 24)
    assert counts.read(["a"], ["done", "failed"]) == {"a": {"done": 40, "failed": 24}}


def test_names_and_fields_are_counted_apart(counts: Counts) -> None:
    for name, field, times in (("a", "done", 3), ("a", "failed", 1), ("a-b", "done", 2)):
        for _ in range(times):
            move(counts.adding(name, field))
    assert counts.read(["a", "a-b", "b"], ["done"]) == {"a": {"done": 3}, "a-b": {"done": 2}, "b": {"done": 0}}


def test_a_count_does_not_move_when_what_it_counts_does_not_happen(counts: Counts) -> None:
    never = clients.table("coordination").update_entry("x", "SET a = :a", when="a = :a", values={":a": "there"})
    with pytest.raises(TransactionRefused):
        move(never, counts.adding("a", "done"))
    assert counts.read(["a"], ["done"]) == {"a": {"done": 0}}


def test_writes_are_spread(counts: Counts) -> None:
    keys = {counts.adding("a", "done")["Update"]["Key"]["pk"]["S"] for _ in range(200)}
    assert len(keys) == 8


@pytest.mark.parametrize(("names", "trips"), [(1, 1), (12, 1), (13, 2), (30, 3)])
def test_a_dozen_names_are_one_round_trip(counts: Counts, dynamodb: Any, names: int, trips: int) -> None:
    asked: list[int] = []
    note = partial(_note, asked)
    dynamodb.meta.events.register("provide-client-params.dynamodb.BatchGetItem", note)
    move(counts.adding(f"n{names - 1}", "done"))
    found = counts.read([f"n{number}" for number in range(names)], ["done"])
    dynamodb.meta.events.unregister("provide-client-params.dynamodb.BatchGetItem", note)
    assert sum(count["done"] for count in found.values()) == 1
    assert len(asked) == trips
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
    """A client of this test alone, to be stubbed."""
    import botocore.session  # noqa: PLC0415 # only here

    return botocore.session.get_session().create_client("dynamodb", region_name="us-east-1")


def test_what_dynamodb_left_out_is_asked_for_after_a_pause(bare: Any) -> None:
    pauses: list[float] = []
    first = {"Responses": {NAME: [to_attributes({"pk": "count#a#0", "done": 2})]}, "UnprocessedKeys": _rest()}
    second = {"Responses": {NAME: [to_attributes({"pk": "count#a#1", "done": 3})]}}
    assert _stubbed(bare, [first, second], pauses).read(["a"], ["done"]) == {"a": {"done": 5}}
    assert len(pauses) == 1


def test_a_table_that_never_answers_in_full_is_busy(bare: Any) -> None:
    answers = [{"Responses": {}, "UnprocessedKeys": _rest()}] * 10
    with pytest.raises(Unavailable):
        _stubbed(bare, answers, []).read(["a"], ["done"])
