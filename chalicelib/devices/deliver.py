"""One push to all devices of a person. For workers: a request has no time for it.

Who was told is remembered, so that a repeat for the sake of one device, or of another person, disturbs nobody else.
Still it is at least once: a process that dies after FCM took the message sends it again, and the device shows it in the
place of the first.
"""

from collections import Counter
from collections.abc import Sequence
from time import time

from chalicelib.core.runtime import backoff, logs
from chalicelib.devices import wiring
from chalicelib.devices.fcm import Reply, Verdict
from chalicelib.devices.message import build
from chalicelib.devices.models import Delivered, Notification, Target

_FOR_GOOD = (Verdict.REFUSED, Verdict.MISCONFIGURED)
#: Repeats are spread over a quarter more than FCM asked for, so that they do not all come at once.
_SPREAD = 0.25


def deliver(username: str, notification: Notification) -> Delivered:
    """Do what `devices.push` promises."""
    fcm = wiring.fcm()
    if fcm is None:
        logs.line().count("pushes_unconfigured")
        return Delivered(configured=False)
    if notification.ttl_ms <= 0:
        return Delivered()
    targets = wiring.store().targets(username, notification.collapse_key)
    if not targets:
        return Delivered()
    replies = fcm.send([build(notification, target.fcm_token, time()) for target in targets])
    _tell(replies)
    return _settle(username, notification, targets, replies)


def _settle(
    username: str, notification: Notification, targets: Sequence[Target], replies: Sequence[Reply]
) -> Delivered:
    """Have the store know what FCM said, and return it in numbers."""
    by = {
        verdict: [target for target, reply in zip(targets, replies, strict=True) if reply.verdict is verdict]
        for verdict in Verdict
    }
    for target in by[Verdict.GONE]:
        wiring.store().drop(username, target)
    if by[Verdict.SENT]:
        wiring.store().told(username, by[Verdict.SENT], notification.collapse_key)
    return Delivered(
        sent=len(by[Verdict.SENT]),
        gone=len(by[Verdict.GONE]),
        refused=sum(len(by[verdict]) for verdict in _FOR_GOOD),
        unsettled=len(by[Verdict.LATER]),
        again_after_seconds=_again(replies, notification.ttl_ms),
    )


def _again(replies: Sequence[Reply], ttl_ms: int) -> float | None:
    """Return when to try again: when FCM wants to be asked, unless nobody can answer any more by then."""
    pauses = [reply.pause_seconds for reply in replies if reply.verdict is Verdict.LATER]
    if not pauses:
        return None
    pause = backoff.spread(max(pauses), _SPREAD)
    return pause if pause * 1000 < ttl_ms else None


def _tell(replies: Sequence[Reply]) -> None:
    """Count the verdicts, and log each reason once that will not mend itself."""
    for verdict, count in Counter(reply.verdict for reply in replies).items():
        logs.line().count(f"pushes_{verdict}", count)
    for reply in dict.fromkeys(reply for reply in replies if reply.verdict in _FOR_GOOD):
        logs.logger().error(
            reply.why, extra={"action": f"push_{reply.verdict}", "requestId": logs.line().fields.get("requestId")}
        )
