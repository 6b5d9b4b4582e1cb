"""One call of a receiver: signed as Standard Webhooks says, with the raw bytes that the delivery holds."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from chalicelib.core import egress
from chalicelib.core.egress import signatures
from chalicelib.core.runtime import hops
from chalicelib.webhooks.attempts import Result
from chalicelib.webhooks.deliveries import Claimed


def send(url: str, secrets: Sequence[str], claimed: Claimed, now: datetime, *, longest_pause: int) -> Result:
    """Call *url* once with the delivery, and return how the call ended. Never raises for the receiver's sake."""
    body = claimed.body.encode()
    headers = {
        **signatures.headers(secrets, claimed.id, now, body),
        "Content-Type": "application/json",
        "X-Request-Id": claimed.caused_by,
        hops.HEADER: str(claimed.hops),
    }
    try:
        reply = egress.post(url, body, {name: value for name, value in headers.items() if value})
    except egress.EgressError as error:
        return Result(error.duration_ms or 0, error=error.failure.value)
    return Result(
        reply.duration_ms,
        status=reply.status,
        # Bytes that are no text are shown as U+FFFD.
        answer=reply.body.decode(errors="replace"),
        retry_after_seconds=_pause(reply.headers, longest_pause),
    )


def _pause(headers: Mapping[str, str], longest: int) -> float | None:
    asked, sent = headers.get("Retry-After"), headers.get("Date")
    return egress.retry_after_seconds(asked, None, shortest=1, longest=longest, sent=sent)
