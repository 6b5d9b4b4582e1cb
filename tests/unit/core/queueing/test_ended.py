"""`ended` is called for each settled message, done or dead-lettered, so that an outbox can end its entry."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core.coordination.claims import Claim
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.attempts import Later, Outcome, Poison
from chalicelib.core.queueing.consumer import run_batch
from tests.support.queue import JOBS, Job, record, sqs_event

pytestmark = pytest.mark.usefixtures("dynamodb", "mail")
Handle = Callable[[Job, Claim], None]


@pytest.fixture
def jobs(aws: None) -> None:
    from chalicelib.core.stores import clients  # noqa: PLC0415

    for name in (JOBS.name, JOBS.dead_letters):
        clients.aws("sqs").create_queue(QueueName=f"holdfast-unit-{name}")


def work(handle: Handle, ended: Callable[[Job, Outcome], None], **more: Any) -> list[Any]:
    """Run a worker on one job; return the failures to be retried."""
    batch = [record("c-1", more.pop("message_id", "m-1"), **more)]
    found: list[Any] = run_batch(sqs_event(batch), JOBS, Job, handle, ended)["batchItemFailures"]
    return found


def nothing(_job: Job, _claim: Claim) -> None:
    """Succeed."""


def poisoned(_job: Job, _claim: Claim) -> None:
    raise Poison("never")


def later(_job: Job, _claim: Claim) -> None:
    raise Later("not yet", 1)


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(("handle", "failures"), [(nothing, 0), (poisoned, 0), (later, JOBS.attempts - 1)])
def test_settled_message_calls_ended(handle: Handle, failures: int) -> None:
    ended: list[str] = []
    for _ in range(failures):
        assert work(handle, lambda job, _: ended.append(job.job_id))
    assert work(handle, lambda job, _: ended.append(job.job_id)) == []
    assert ended == ["c-1"]


@pytest.mark.usefixtures("jobs")
def test_message_to_be_retried_does_not_call_ended() -> None:
    ended: list[str] = []
    assert work(later, lambda job, _: ended.append(job.job_id))
    assert ended == []


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("handle", [nothing, poisoned])
def test_failed_call_of_ended_is_repeated_on_redelivery(handle: Handle) -> None:
    # Given a store that goes down right after the work was settled
    def down(_job: Job, _outcome: Outcome) -> None:
        raise Unavailable

    assert work(handle, down)
    # When the same message comes again
    ended: list[str] = []
    assert work(nothing, lambda job, _: ended.append(job.job_id), receives=2) == []
    # Then
    assert ended == ["c-1"]
