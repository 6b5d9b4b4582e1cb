"""A batch costs two transactions: no more write units than its messages would cost one by one."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.coordination.claims import Claim
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.attempts import Poison
from tests.support.queue import JOBS, Job, RecordingHandler, SqsPoller, read_counts
from tests.unit.conftest import Printed

BATCHED = replace(JOBS, finish="batch")


@pytest.fixture
def poller(poller: SqsPoller) -> SqsPoller:
    poller.queue = BATCHED
    return poller


@pytest.fixture
def writes(dynamodb: Any) -> Iterator[list[tuple[str, int]]]:
    """The name of each write, and the number of the items that the write changes."""
    sent: list[tuple[str, int]] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        sent.append((model.name, len(params.get("TransactItems", [0]))))

    for name in ("PutItem", "UpdateItem", "TransactWriteItems"):
        dynamodb.meta.events.register(f"provide-client-params.dynamodb.{name}", note, unique_id=f"writes{name}")
    yield sent
    for name in ("PutItem", "UpdateItem", "TransactWriteItems"):
        dynamodb.meta.events.unregister(f"provide-client-params.dynamodb.{name}", unique_id=f"writes{name}")


def units(writes: list[tuple[str, int]]) -> int:
    """Return the write units: items are below 1 KB, and a transaction costs twice."""
    return sum(items * (2 if name == "TransactWriteItems" else 1) for name, items in writes)


def in_order(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(batch, key=lambda record: str(json.loads(record["body"])["jobId"]))


def test_ten_messages_cost_two_transactions(
    poller: SqsPoller, handler: RecordingHandler, writes: list[tuple[str, int]]
) -> None:
    poller.add(*"abcdefghij")
    assert poller.deliver(handler) == []
    assert handler.done == Counter("abcdefghij")
    assert (read_counts(), poller.left(), poller.dead_letters()) == ((10, 0), 0, [])
    assert writes == [("TransactWriteItems", 10), ("TransactWriteItems", 11)]


@pytest.mark.parametrize("size", range(1, 11))
def test_a_batch_costs_no_more_write_units_than_single_messages(
    poller: SqsPoller, handler: RecordingHandler, writes: list[tuple[str, int]], size: int
) -> None:
    costs = {}
    for queue, jobs in ((JOBS, "abcdefghij"), (BATCHED, "klmnopqrst")):
        poller.queue = queue
        poller.add(*jobs[:size])
        poller.deliver(handler)
        costs[queue.finish] = units(writes)
        writes.clear()
    assert costs["each"] == 5 * size
    assert costs["batch"] <= costs["each"]


def test_a_message_alone_is_worked_on_as_in_other_queues(
    poller: SqsPoller, handler: RecordingHandler, writes: list[tuple[str, int]], printed: Printed
) -> None:
    poller.add("a")
    poller.deliver(handler)
    assert writes == [("PutItem", 1), ("TransactWriteItems", 2)]
    (line,) = printed.lines()
    assert (line["outcome"], line["storeRoundTrips"]) == ("done", 2)


def test_failing_messages_do_not_fail_their_batch(
    poller: SqsPoller, handler: RecordingHandler, writes: list[tuple[str, int]]
) -> None:
    poller.add(*"abcde")
    batch = in_order(poller.batch())

    def some(job: Job, claim: Claim) -> None:
        if job.job_id == "b":
            raise Poison("b is poison")
        if job.job_id == "d":
            raise Unavailable
        handler(job, claim)

    assert poller.deliver(some, batch) == [batch[3]["messageId"]]
    assert handler.done == Counter("ace")
    assert read_counts() == (3, 1)
    assert [reason for _, reason in poller.dead_letters()] == ["b is poison"]
    # The dead letter, the abandoned claim, and one transaction for the others and their count
    assert writes[1:] == [("TransactWriteItems", 2), ("UpdateItem", 1), ("TransactWriteItems", 4)]
    # And the failed message is tried again
    poller.wait(batch)
    poller.deliver(handler)
    assert read_counts() == (4, 1)


def test_a_redelivered_message_joins_no_batch(
    poller: SqsPoller, handler: RecordingHandler, writes: list[tuple[str, int]]
) -> None:
    # Given messages of a function without time
    poller.add("a", "b")
    batch = poller.batch()
    poller.deliver(handler, batch, remaining_ms=2_999)
    poller.wait(batch, seconds=0)
    writes.clear()
    # When, then each has its own begin, refused by the claim of before, its takeover and its finish
    poller.deliver(handler)
    assert writes == [("PutItem", 1), ("UpdateItem", 1), ("TransactWriteItems", 2)] * 2
