"""A worker is told of each message that was settled, done or given up, so that an outbox can end its entry."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core.coordination.claims import Claim
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing.attempts import Later, Poison
from chalicelib.core.queueing.consumer import run_batch
from tests.support.queue import JOBS, Job, asked, record

pytestmark = pytest.mark.usefixtures("dynamodb", "mail")
Handle = Callable[[Job, Claim], None]


@pytest.fixture
def jobs(aws: None) -> None:
    from chalicelib.core.stores import clients  # noqa: PLC0415

    for name in (JOBS.name, JOBS.dead_letters):
        clients.aws("sqs").create_queue(QueueName=f"holdfast-unit-{name}")


def work(handle: Handle, ended: Callable[[Job], None], **more: Any) -> list[Any]:
    """Have a worker see to one job; return what must come again."""
    batch = [record("c-1", more.pop("message_id", "m-1"), **more)]
    found: list[Any] = run_batch(asked(batch), JOBS, Job, handle, ended)["batchItemFailures"]
    return found


def nothing(_job: Job, _claim: Claim) -> None:
    """Succeed."""


def poisoned(_job: Job, _claim: Claim) -> None:
    raise Poison("never")


def later(_job: Job, _claim: Claim) -> None:
    raise Later("not yet", 1)


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(("handle", "failures"), [(nothing, 0), (poisoned, 0), (later, JOBS.attempts - 1)])
def test_a_message_that_is_settled_has_ended(handle: Handle, failures: int) -> None:
    ended: list[str] = []
    for _ in range(failures):
        assert work(handle, lambda job: ended.append(job.job_id))
    assert work(handle, lambda job: ended.append(job.job_id)) == []
    assert ended == ["c-1"]


@pytest.mark.usefixtures("jobs")
def test_a_message_that_comes_again_has_not_ended() -> None:
    ended: list[str] = []
    assert work(later, lambda job: ended.append(job.job_id))
    assert ended == []


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("handle", [nothing, poisoned])
def test_an_end_that_failed_is_made_up_for_when_the_message_comes_again(handle: Handle) -> None:
    # Given a store that is down right after the work was settled
    def down(_job: Job) -> None:
        raise Unavailable

    assert work(handle, down)
    # When the same message comes again
    ended: list[str] = []
    assert work(nothing, lambda job: ended.append(job.job_id), receives=2) == []
    # Then
    assert ended == ["c-1"]
