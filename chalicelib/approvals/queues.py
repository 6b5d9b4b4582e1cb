"""The queue of approvals, its messages, and which of them an effect is sent as."""

from chalicelib.core.models import Id
from chalicelib.core.queueing.outbox import Address
from chalicelib.core.queueing.queues import Message, Queue

APPROVAL = Queue("approval", visibility_seconds=60, attempts=12, batch_size=10, concurrency=4, timeout_seconds=50)


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
