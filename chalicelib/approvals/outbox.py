"""What follows a change of a request: handed to the queue at once by whoever changed it, else by the sweep.

A mark stands in the document from the change until the queue has the effect. It may be handed over twice, and is done
once: the queue's worker claims it.
"""

from chalicelib.approvals import wiring
from chalicelib.approvals.models import Seen
from chalicelib.approvals.queues import APPROVAL
from chalicelib.core.models import Id
from chalicelib.core.queueing import queues
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.queueing.queues import Message
from chalicelib.core.runtime import logs

#: A change this young is still being followed up by whoever made it.
_GRACE_MS = 15_000


class Task(Message):
    """One effect of one request."""

    request_id: Id
    effect: str

    @property
    def work_id(self) -> str:
        """The effect, once per request."""
        return f"{self.request_id}.{self.effect}"


def follow(seen: Seen) -> Seen:
    """Hand what must follow to the queue, as far ahead as the queue can delay it; return *seen*.

    Never fails the change that was made: what the queue did not take stays marked, and the sweep hands it over.
    """
    for mark in seen.marks:
        if mark.due_in_ms <= queues.LONGEST_DELAY_SECONDS * 1000:
            try:
                _hand_over(seen.approval.request_id, mark.effect, mark.due_in_ms)
            except Exception as error:  # noqa: BLE001 # the change is made, whatever the queue says
                logs.line().count("effectsLeftToSweep")
                logs.failed("hand_over_failed", error)
    return seen


def sweep() -> int:
    """Hand over what is overdue. Returns how many effects it was. Running twice is harmless: each is done once."""
    due = wiring.store().due(_GRACE_MS)
    for request_id, effect in due:
        _hand_over(request_id, effect, 0)
        wiring.store().unmark(request_id, effect)
    return len(due)


def _hand_over(request_id: str, effect: str, due_in_ms: int) -> None:
    # Rounded up: an effect may come late, and never early.
    queueing.sender().send(APPROVAL, Task(request_id=request_id, effect=effect), delay_seconds=-(-due_in_ms // 1000))
