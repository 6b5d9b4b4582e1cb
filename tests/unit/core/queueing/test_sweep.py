"""The sweep of each minute: slices take turns, each with its own time budget."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib import slices
from chalicelib.core.queueing import sweep as sweeping
from chalicelib.core.queueing.sweep import Sweep
from chalicelib.core.runtime import deadline
from tests.support.gateway import Context
from tests.unit.conftest import Printed

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Scheduled:
    """A schedule's event in chalice's form."""

    event_id = "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa"

    def __init__(self, remaining_ms: int = 29_000) -> None:
        self.context = Context(remaining_ms)


def run(*sweeps: Sweep, at: datetime = NOON, remaining_ms: int = 29_000) -> None:
    event: Any = Scheduled(remaining_ms)
    sweeping.run(event, sweeps, now=at.timestamp)


def noting(order: list[str], name: str) -> Sweep:
    return Sweep(name, lambda: order.append(name) or 0)  # type: ignore[func-returns-value]


def test_slices_take_turns_at_being_swept_first(printed: Printed) -> None:
    firsts = []
    for minute in range(6):
        order: list[str] = []
        run(*(noting(order, name) for name in "abc"), at=NOON + timedelta(minutes=minute))
        assert sorted(order) == ["a", "b", "c"]
        firsts.append(order[0])
    assert firsts == ["a", "b", "c", "a", "b", "c"]


def test_slice_with_endless_work_leaves_time_for_others(printed: Printed) -> None:
    # Given
    left: dict[str, int] = {}

    def endless() -> int:
        count = 0
        while deadline.remaining_ms():
            count += 1
        return count

    def patient(name: str) -> Callable[[], int]:
        def note() -> int:
            left[name] = deadline.remaining_ms() or 0
            return 0

        return note

    # When one of three slices uses its whole budget
    run(Sweep("greedy", endless), Sweep("b", patient("b")), Sweep("c", patient("c")), remaining_ms=1_600)
    # Then
    assert min(left.values()) >= 100
    (line,) = printed.lines()
    assert line["greedy"] > 0
    assert (line["b"], line["c"]) == (0, 0)


def test_failed_sweep_of_a_slice_does_not_stop_the_others(printed: Printed) -> None:
    def failing() -> int:
        raise ValueError("no")

    order: list[str] = []
    run(Sweep("a", failing), noting(order, "b"))
    assert order == ["b"]
    assert printed.lines()[-1]["sweepsFailed"] == 1
    assert printed.lines()[0]["action"] == "a_sweep_failed"


@pytest.mark.parametrize(
    ("due", "age_ms"),
    [(None, 0), (NOON + timedelta(seconds=5), 0), (NOON - timedelta(seconds=5), 5_000)],
    ids=["nothing", "later", "overdue"],
)
def test_the_age_of_the_oldest_due_entry_is_a_metric(printed: Printed, due: datetime | None, age_ms: int) -> None:
    run(Sweep("a", lambda: 0, lambda: due), Sweep("b", lambda: 0))
    (line,) = printed.lines()
    assert line["aOldestDueMs"] == age_ms
    assert "bOldestDueMs" not in line


def test_next_due_is_reported_for_each_slice_with_due_moments(mongodb: Any, dynamodb: Any) -> None:
    named = {sweep.name for sweep in slices.sweeps() if sweep.next_due}
    assert named >= {"users", "approvals", "webhooks", "sockets", "messages"}
    assert slices.next_due() == dict.fromkeys(named)
