"""The queues of approvals, their messages, and the address of each side effect."""

from chalicelib.approvals.models import SideEffect
from chalicelib.core.egress.retries import SCHEDULE_SECONDS
from chalicelib.core.models import Id
from chalicelib.core.queueing.outbox import Address
from chalicelib.core.queueing.queues import Message, Queue

#: What must be punctual, and asks our own stores only: escalations and timeouts. A repeat of either changes nothing.
#: A message of a version with one queue may be a push.
APPROVAL = Queue(
    "approval",
    visibility_seconds=60,
    attempts=12,
    batch_size=10,
    concurrency=4,
    timeout_seconds=50,
    finish="batch",
    pushes=True,
)
#: Pushes: calls of FCM, which no user chooses. A repeat would notify a person again.
PUSH = Queue("push", visibility_seconds=60, attempts=12, batch_size=10, concurrency=4, timeout_seconds=50, pushes=True)
#: Callbacks to addresses that users chose, by lane. A batch of one: a lane that hangs holds up no other lane's message.
CALLBACK = Queue(
    "callback",
    visibility_seconds=60,
    attempts=len(SCHEDULE_SECONDS) + 1,
    batch_size=1,
    concurrency=8,
    timeout_seconds=50,
    schedule_seconds=SCHEDULE_SECONDS,
)


class Task(Message):
    """One side effect of one request."""

    request_id: Id
    effect: str

    @property
    def work_id(self) -> str:
        """The id of the work: request id and effect, so each effect is done once per request."""
        return f"{self.request_id}.{self.effect}"


def address(request_id: str, effect: str) -> Address:
    """Return the queue and message of a side effect that goes by no lane."""
    queue = PUSH if effect.startswith((SideEffect.NOTIFY, SideEffect.WITHDRAW)) else APPROVAL
    return Address(queue, Task(request_id=request_id, effect=effect))
