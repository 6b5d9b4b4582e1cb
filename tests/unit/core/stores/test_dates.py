"""The store's time follows the dates of answers, and costs a right clock nothing."""

from email.utils import formatdate
from time import time
from typing import Any

import botocore.session
import pytest
from botocore.hooks import HierarchicalEmitter

from chalicelib.core.stores.dates import ServerClock

TRUE = 1_800_000_000.4


class Client:
    """A client whose store answers with a date, and whose process has a clock of its own."""

    def __init__(self, ahead_seconds: float) -> None:
        self.true, self.ahead_seconds = TRUE, ahead_seconds
        self.meta, self.events = self, HierarchicalEmitter()
        self.clock = ServerClock(lambda: self.true + self.ahead_seconds)
        self.clock.follow(self, "dynamodb")

    def call(self, *, seconds: float = 0.0, date: str | None = "", skew_seconds: float = 0.0) -> None:
        """Call the store, which answers half-way through *seconds*."""
        context: dict[str, Any] = {}
        self.events.emit("before-call.dynamodb.GetItem", context=context)
        said = formatdate(int(self.true + seconds / 2 + skew_seconds), usegmt=True) if date == "" else date
        self.true += seconds
        headers = {"date": said} if said is not None else {}
        parsed = {"ResponseMetadata": {"HTTPHeaders": headers}}
        self.events.emit("after-call.dynamodb.GetItem", context=context, parsed=parsed)

    @property
    def wrong_by(self) -> float:
        return self.clock.now() - self.true


@pytest.mark.parametrize("seconds", [0.0, 0.02, 1.7])
@pytest.mark.parametrize("ahead_seconds", [-86_400, -300, 300, 86_400])
def test_a_wrong_clock_is_right_to_a_second_after_an_answer(ahead_seconds: float, seconds: float) -> None:
    client = Client(ahead_seconds)
    assert client.wrong_by == pytest.approx(ahead_seconds)
    client.call(seconds=seconds)
    assert abs(client.wrong_by) <= 1 + seconds


@pytest.mark.parametrize("ahead_seconds", [0.0, 0.2, -0.2])
def test_a_right_clock_stays_as_exact_as_it_is(ahead_seconds: float) -> None:
    client = Client(ahead_seconds)
    client.call(seconds=0.01)
    assert client.wrong_by == pytest.approx(ahead_seconds)


def test_a_clock_that_is_set_is_followed_at_the_next_answer() -> None:
    client = Client(0)
    client.call()
    client.ahead_seconds = 300
    client.call()
    assert abs(client.wrong_by) <= 1


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_an_answer_without_a_date_leaves_the_clock_alone(date: str | None) -> None:
    client = Client(300)
    client.call()
    before = client.wrong_by
    client.call(date=date)
    assert client.wrong_by == before


def test_botocore_shows_the_date_of_answers_and_refusals(dynamodb: Any) -> None:
    clock = ServerClock(lambda: time() + 86_400)
    client = botocore.session.get_session().create_client("dynamodb")
    clock.follow(client, "dynamodb")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.describe_table(TableName="absent")
    assert abs(clock.now() - time()) < 60
