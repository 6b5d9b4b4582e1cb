"""The outbox of approvals: which queue an effect goes to, and as which message."""

from chalicelib.approvals import wiring
from chalicelib.approvals.models import Seen
from chalicelib.approvals.queues import APPROVAL
from chalicelib.core.models import Id
from chalicelib.core.queueing.outbox import Address
from chalicelib.core.queueing.queues import Message


class Task(Message):
    """One effect of one request."""

    request_id: Id
    effect: str

    @property
    def work_id(self) -> str:
        """The effect, once per request."""
        return f"{self.request_id}.{self.effect}"


def address(request_id: str, effect: str) -> Address:
    """Return where the message of an effect goes."""
    return Address(APPROVAL, Task(request_id=request_id, effect=effect))


def dispatch(seen: Seen) -> Seen:
    """Send what must follow the change that made *seen*, and return *seen*. Never fails that change."""
    wiring.outbox().dispatch(seen.approval.request_id, seen.entries)
    return seen


def end(task: Task) -> None:
    """End the entry of a message that was settled. Safe to repeat."""
    wiring.outbox().end(task.request_id, task.effect)
