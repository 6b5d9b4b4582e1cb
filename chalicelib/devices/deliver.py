"""Sends one push to all devices of a person. For workers, since a push takes too long for a request.

The store remembers notified devices, so a repeat for one device or for another person does not notify the others again.
Delivery is at least once: if a process dies after FCM took the message, a repeat sends the message again. The device
shows the second message in place of the first.
"""

from collections import Counter
from collections.abc import Sequence
from time import time

from chalicelib.core.runtime import backoff, logs
from chalicelib.core.runtime.accounts import Account
from chalicelib.devices import wiring
from chalicelib.devices.fcm import Reply, Verdict
from chalicelib.devices.message import build, void
from chalicelib.devices.models import Delivered, Notification, Target, Withdrawal

#: Verdicts that no repeat will change.
_PERMANENT = (Verdict.REFUSED, Verdict.MISCONFIGURED)
#: Repeats are spread over a quarter more than FCM's pause, so repeats do not all come at once.
_SPREAD = 0.25


def deliver(owner: Account, notification: Notification) -> Delivered:
    """Push as promised by `devices.push`."""
    fcm = wiring.fcm()
    if fcm is None:
        logs.line().count("pushes_unconfigured")
        return Delivered(configured=False)
    if notification.ttl_ms <= 0:
        return Delivered()
    targets = wiring.store().targets(owner, notification.collapse_key)
    if not targets:
        return Delivered()
    replies = fcm.send([build(notification, target.fcm_token, time()) for target in targets])
    _report(replies)
    return _record(owner.username, notification.collapse_key, notification.ttl_ms, targets, replies)


def withdraw(owner: Account, withdrawal: Withdrawal) -> Delivered:
    """Withdraw as promised by `devices.withdraw`."""
    fcm = wiring.fcm()
    if fcm is None:
        return Delivered(configured=False)
    targets = wiring.store().showing(owner, withdrawal.collapse_key, withdrawal.mark)
    if not targets:
        return Delivered()
    replies = fcm.send([void(withdrawal, target.fcm_token, time()) for target in targets])
    _report(replies)
    return _record(owner.username, withdrawal.mark, withdrawal.ttl_ms, targets, replies)


def _record(username: str, mark: str, ttl_ms: int, targets: Sequence[Target], replies: Sequence[Reply]) -> Delivered:
    """Record FCM's replies in the store under *mark*, and return the number of devices per outcome."""
    by = {
        verdict: [target for target, reply in zip(targets, replies, strict=True) if reply.verdict is verdict]
        for verdict in Verdict
    }
    for target in by[Verdict.GONE]:
        wiring.store().drop(username, target)
    if by[Verdict.SENT]:
        wiring.store().mark_notified(username, by[Verdict.SENT], mark)
    return Delivered(
        sent=len(by[Verdict.SENT]),
        gone=len(by[Verdict.GONE]),
        refused=sum(len(by[verdict]) for verdict in _PERMANENT),
        unsettled=len(by[Verdict.LATER]),
        again_after_seconds=_repeat_after_seconds(replies, ttl_ms),
        device_ids=tuple(target.device_id for target in by[Verdict.SENT]),
    )


def _repeat_after_seconds(replies: Sequence[Reply], ttl_ms: int) -> float | None:
    """Return the pause before a repeat, as asked by FCM; None if no retry is due, or the push expires first."""
    pauses = [reply.pause_seconds for reply in replies if reply.verdict is Verdict.LATER]
    if not pauses:
        return None
    pause = backoff.spread(max(pauses), _SPREAD)
    return pause if pause * 1000 < ttl_ms else None


def _report(replies: Sequence[Reply]) -> None:
    """Count the verdicts, and log each reason of a permanent failure once."""
    for verdict, count in Counter(reply.verdict for reply in replies).items():
        logs.line().count(f"pushes_{verdict}", count)
    for reply in dict.fromkeys(reply for reply in replies if reply.verdict in _PERMANENT):
        logs.logger().error(
            reply.why, extra={"action": f"push_{reply.verdict}", "requestId": logs.line().fields.get("requestId")}
        )
