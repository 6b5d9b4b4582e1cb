"""What follows an attempt, by the answer and the schedule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.egress import SCHEDULE_SECONDS
from chalicelib.webhooks.attempts import Decision, Result, decide
from chalicelib.webhooks.models import Reason, Status


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_an_answer_of_the_200s_is_a_delivery(status: int) -> None:
    assert decide(Result(1, status=status), 8, SCHEDULE_SECONDS) == Decision(Status.DELIVERED)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422, 499])
def test_another_answer_of_the_400s_ends_the_delivery_at_once(status: int) -> None:
    assert decide(Result(1, status=status), 1, SCHEDULE_SECONDS) == Decision(Status.DEAD, Reason.REFUSED)


@pytest.mark.parametrize(
    "result",
    [
        *(Result(1, status=status) for status in (301, 302, 308, 408, 425, 429, 500, 502, 503, 504, 599)),
        *(Result(1, error=error) for error in ("timeout", "refused", "name", "tls", "reset", "protocol")),
    ],
    ids=str,
)
def test_trouble_of_the_receiver_follows_the_schedule(result: Result) -> None:
    for tries, pause in enumerate(SCHEDULE_SECONDS, start=1):
        assert decide(result, tries, SCHEDULE_SECONDS, lambda: 0) == Decision(Status.DUE, pause_ms=pause * 1000)
        assert decide(result, tries, SCHEDULE_SECONDS, lambda: 1) == Decision(Status.DUE, pause_ms=pause * 1200)
    assert decide(result, 8, SCHEDULE_SECONDS) == Decision(Status.DEAD, Reason.EXHAUSTED)


@given(asked=st.floats(1, 86_400), tries=st.integers(1, 7))
def test_a_receiver_lengthens_a_pause_and_never_shortens_it(asked: float, tries: int) -> None:
    decision = decide(Result(1, status=429, retry_after_seconds=asked), tries, SCHEDULE_SECONDS, lambda: 0)
    assert decision.pause_ms == round(max(asked, SCHEDULE_SECONDS[tries - 1]) * 1000)
