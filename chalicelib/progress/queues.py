"""The queue that wakes the pusher of a job."""

from chalicelib.core.models import SessionId
from chalicelib.core.queueing.queues import Message, Queue

#: A message wakes a pusher, which then follows its job for a while. A repeat finds that its lease is gone.
PROGRESS = Queue("progress", visibility_seconds=60, attempts=3, batch_size=1, concurrency=5, timeout_seconds=40)


class Wake(Message):
    """A job whose followers are to be told."""

    session_id: SessionId
    lease: str

    @property
    def work_id(self) -> str:
        """The id of the lease."""
        return self.lease
