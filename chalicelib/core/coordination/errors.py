"""What a caller learns when it is not the winner."""

from collections.abc import Mapping

from chalicelib.core.errors import Conflict, ServiceError, Unavailable


class LockHeld(Conflict):
    """Someone else holds this lock."""

    def __init__(self, name: str, expires_at_ms: int) -> None:
        super().__init__(f"The lock {name} is held.")
        self.expires_at_ms = expires_at_ms


class LockLost(Conflict):
    """This lock is no longer ours: it was released, broken or taken over."""


class GuardedRefused(Conflict):
    """A condition of what was to be written along did not hold; the lock, or the claim, was still ours."""


class AlreadyDone(ServiceError):
    """This work was done before; *result* is what came of it."""

    def __init__(self, result: str) -> None:
        super().__init__()
        self.result = result


class StillRunning(Unavailable):
    """This work is being done by someone else just now."""


class ClaimLost(Conflict):
    """Another attempt has taken this work over."""


class OtherRequest(Conflict):
    """This key belongs to another request."""


class StillAnswering(Conflict):
    """The first call with this Idempotency-Key is still running."""

    def headers(self) -> Mapping[str, str]:
        """Say when to come back."""
        return {"Retry-After": "1"}


class ShownOnce(Conflict):
    """This call was answered, and its answer held a secret that is shown once."""
