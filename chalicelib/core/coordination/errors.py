"""The errors for callers that did not win a decision."""

from collections.abc import Mapping

from chalicelib.core.errors import Conflict, FieldError, Invalid, ServiceError, Unavailable


class LockHeld(Conflict):
    """Another owner holds the lock."""

    def __init__(self, name: str, expires_at_ms: int) -> None:
        super().__init__(f"The lock {name} is held.")
        self.expires_at_ms = expires_at_ms


class LockLost(Conflict):
    """The lock was released, broken or taken over."""


class GuardedRefused(Conflict):
    """A condition of the accompanying writes did not hold; the lock, or the claim, was still held."""


class AlreadyDone(ServiceError):
    """The work was done before, with the result *result*."""

    def __init__(self, result: str) -> None:
        super().__init__()
        self.result = result


class StillRunning(Unavailable):
    """Another attempt is doing the work just now."""


class ClaimLost(Conflict):
    """Another attempt has taken over the work. Its answer is the one that counts."""

    code = "claim-lost"


class OtherRequest(Conflict):
    """The key belongs to another request."""


class KeyReused(Invalid):
    """The Idempotency-Key was used for another request. Use a new key for a new request."""

    code = "idempotency-key-reused"

    def __init__(self, header: str) -> None:
        super().__init__([FieldError(header, "was used for another request")])


class StillAnswering(Conflict):
    """The first call with this Idempotency-Key is still running. Repeat the call a moment later."""

    code = "still-answering"

    def headers(self) -> Mapping[str, str]:
        """Return the header that says when to try again."""
        return {"Retry-After": "1"}


class ShownOnce(Conflict):
    """The first answer held a secret that is shown once. For a new secret, use another Idempotency-Key."""

    code = "shown-once"
