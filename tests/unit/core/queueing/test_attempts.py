"""Only an attempt that began and failed uses up one of a queue's attempts."""

import pytest

from chalicelib.core.coordination.claims import Claim
from chalicelib.core.queueing.attempts import Later
from tests.support.queue import JOBS, Job, RecordingHandler, SqsPoller, raise_unavailable, read_counts


def test_deliveries_without_time_use_up_no_attempt(poller: SqsPoller, handler: RecordingHandler) -> None:
    # Given a message that was left for lack of time more often than there are attempts
    poller.add("a")
    for _ in range(JOBS.attempts + 2):
        batch = poller.batch()
        assert len(poller.deliver(handler, batch, remaining_ms=2_999)) == 1
        poller.wait(batch)
    # When the first real attempt fails
    batch = poller.batch()
    poller.deliver(raise_unavailable, batch)
    poller.wait(batch)
    # Then another attempt follows
    assert poller.dead_letters() == []
    poller.deliver(handler)
    assert read_counts() == (1, 0)


def test_deliveries_behind_a_running_attempt_use_up_no_attempt(poller: SqsPoller, handler: RecordingHandler) -> None:
    poller.add("a")
    batch = poller.batch()

    def deliver_copies_meanwhile(job: Job, claim: Claim) -> None:
        for _ in range(JOBS.attempts + 2):
            poller.deliver(handler, batch)
        raise_unavailable(job, claim)

    poller.deliver(deliver_copies_meanwhile, batch)
    poller.wait(batch)
    assert poller.dead_letters() == []
    poller.deliver(handler)
    assert read_counts() == (1, 0)


@pytest.mark.parametrize(("is_attempt", "letters"), [(False, 0), (True, 1)])
def test_later_uses_up_an_attempt_unless_uncounted(poller: SqsPoller, is_attempt: bool, letters: int) -> None:
    def later(job: Job, claim: Claim) -> None:
        raise Later("not due", 5, counted=is_attempt)

    poller.add("a")
    for _ in range(JOBS.attempts):
        batch = poller.batch()
        poller.deliver(later, batch)
        poller.wait(batch)
    assert len(poller.dead_letters()) == letters


def test_the_pause_grows_with_attempts_and_not_with_deliveries(
    poller: SqsPoller, handler: RecordingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.core.runtime.backoff.random.uniform", lambda _, longest: longest)
    poller.add("a")
    for _ in range(4):
        batch = poller.batch()
        poller.deliver(handler, batch, remaining_ms=2_999)
        poller.wait(batch)
    poller.deliver(raise_unavailable)
    assert poller.postponed == [0, 0, 0, 0, 2]


def test_a_redriven_dead_letter_has_all_attempts_again(poller: SqsPoller) -> None:
    poller.add("a")
    for _ in range(2):
        for _ in range(JOBS.attempts):
            assert poller.dead_letters() == []
            batch = poller.batch()
            poller.deliver(raise_unavailable, batch)
            poller.wait(batch)
        assert poller.redrive() == 1
