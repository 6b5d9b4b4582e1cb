"""The pause before a callback is repeated, by the Retry-After of its address."""

from collections.abc import Callable, Iterator
from email.utils import formatdate
from time import time

import pytest

from chalicelib.approvals import callback
from chalicelib.approvals.models import Seen
from chalicelib.approvals.store import ApprovalStore
from chalicelib.core.queueing.attempts import Later
from tests.support.receiver import Receiver, receiving
from tests.unit.approvals.build import PERSON, answer, put


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def settled(approvals: ApprovalStore, receiver: Receiver, options: Callable[..., None]) -> Seen:
    """An answered request with a callback to *receiver*."""
    options(EGRESS_ALLOW_LOOPBACK="true")
    request_id = put(approvals, callback_url=receiver.url)
    answer(approvals, request_id, "approve", PERSON)
    return approvals.get(request_id)


def _pause(settled: Seen) -> float | None:
    with pytest.raises(Later) as later:
        callback.send(settled)
    return later.value.after_seconds


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("7", 7), ("0", 1), ("14400", 14_400), ("864000", 86_400), ("soon", None), (None, None)],
)
def test_a_busy_address_is_paused_for_its_retry_after(
    receiver: Receiver, settled: Seen, asked: str | None, seconds: float | None
) -> None:
    receiver.answer = lambda _: (503, {} if asked is None else {"Retry-After": asked})
    assert _pause(settled) == seconds


def test_a_retry_after_date_becomes_the_pause(receiver: Receiver, settled: Seen) -> None:
    receiver.answer = lambda _: (429, {"Retry-After": formatdate(time() + 600, usegmt=True)})
    pause = _pause(settled)
    assert pause is not None
    assert 500 < pause <= 600
