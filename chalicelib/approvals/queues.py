"""The ``approval`` queue, its messages, and the address of each side effect."""

from chalicelib.core.models import Id
from chalicelib.core.queueing.outbox import Address
from chalicelib.core.queueing.queues import Message, Queue

APPROVAL = Queue("approval", visibility_seconds=60, attempts=12, batch_size=10, concurrency=4, timeout_seconds=50)


class Task(Message):
    """One side effect of one request."""

    request_id: Id
    effect: str

    @property
    def work_id(self) -> str:
        """The id of the work: request id and effect, so each effect is done once per request."""
        return f"{self.request_id}.{self.effect}"


def address(request_id: str, effect: str) -> Address:
    """Return the queue and message of a side effect."""
    return Address(APPROVAL, Task(request_id=request_id, effect=effect))
