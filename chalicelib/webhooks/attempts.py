"""Attempts: what a call's end means for its delivery (no I/O)."""

import random
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import NamedTuple

from chalicelib.core.egress.retries import REPEATED
from chalicelib.webhooks.models import Reason, Status

#: The pauses of the schedule are lengthened by up to so large a part, so that deliveries which failed together part.
_SPREAD = 0.2


class Result(NamedTuple):
    """How a call ended: *status* of the answer, or *error*, a word, without an answer."""

    latency_ms: int
    status: int | None = None
    error: str | None = None
    #: The beginning of the answer's body.
    answer: str = ""
    #: The pause that the receiver asked for.
    retry_after_seconds: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the receiver took the delivery."""
        return self.status is not None and HTTPStatus(200) <= self.status < HTTPStatus(300)

    @property
    def refused(self) -> bool:
        """Whether the receiver refused the delivery for good."""
        below = HTTPStatus.INTERNAL_SERVER_ERROR
        return self.status is not None and HTTPStatus.BAD_REQUEST <= self.status < below and self.status not in REPEATED

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no delivery any more."""
        return self.status == HTTPStatus.GONE

    @property
    def failing(self) -> bool:
        """Whether the receiver itself is in trouble, which closes its lane after some failures."""
        return not self.ok and not self.refused


class Decision(NamedTuple):
    """The state of the delivery after an attempt. A due delivery is tried again after *pause_ms*."""

    status: Status
    reason: Reason | None = None
    pause_ms: int = 0


def decide(
    result: Result, tries: int, schedule_seconds: Sequence[int], spread: Callable[[], float] = random.random
) -> Decision:
    """Return what follows the attempt number *tries* of the schedule, the first being 1.

    A pause that the receiver asked for lengthens the schedule's pause, and never shortens it.
    """
    if result.ok:
        return Decision(Status.DELIVERED)
    if result.refused:
        return Decision(Status.DEAD, Reason.REFUSED)
    if tries > len(schedule_seconds):
        return Decision(Status.DEAD, Reason.EXHAUSTED)
    pause = schedule_seconds[tries - 1] * (1 + _SPREAD * spread())
    return Decision(Status.DUE, pause_ms=round(max(pause, result.retry_after_seconds or 0) * 1000))
