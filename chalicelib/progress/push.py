"""Pushes snapshots to connections of WebSockets: a change wakes one pusher per job, which reads the newest snapshot."""

from time import monotonic, sleep

from chalicelib import sockets
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.errors import NotFound, ServiceError
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.runtime import deadline, logs
from chalicelib.core.web.frames import Event
from chalicelib.progress import wiring
from chalicelib.progress.models import Snapshot
from chalicelib.progress.queues import PROGRESS, Wake
from chalicelib.progress.topic import PREFIX

#: Up to so many connections get whole snapshots, four times a second at most; more get nudges once a second.
MOST_SNAPSHOTS = 20
_PAUSE_SECONDS, _NUDGE_SECONDS = 0.25, 1.0
#: A pusher stays for so long after the last change, and in all; a new one continues.
_QUIET_SECONDS, _LONGEST_SECONDS = 1.0, 20.0
#: Time that a push may take.
_ENOUGH_MS = 10_000


def announce(session_id: str) -> bool:
    """Wake a pusher of the job, if connections follow it and no pusher is awake. Return whether one was woken.

    Never raises: the sweep wakes pushers of changes that nobody announced.
    """
    try:
        if not sockets.followers(PREFIX + session_id):
            return False
        lease = wiring.leases().take(session_id)
        if lease:
            queueing.sender().send(PROGRESS, Wake(session_id=session_id, lease=lease))
    except ServiceError as error:
        logs.logger().warning(str(error), extra={"action": "progress_not_announced"})
        return False
    return lease is not None


def work(wake: Wake, _claim: Claim) -> None:
    """Push the newest snapshot of the job until it rests, or until it is a new pusher's turn.

    Without its lease a pusher does nothing: another one has the job.
    """
    leases, began = wiring.leases(), monotonic()
    if not leases.holds(wake.session_id, wake.lease):
        return
    pushed, changed_at = 0, began
    while monotonic() - began < _LONGEST_SECONDS and deadline.allows(_ENOUGH_MS):
        try:
            newest = wiring.store().get(wake.session_id)
        except NotFound:
            return
        many = sockets.followers(PREFIX + wake.session_id)
        if newest.revision > pushed:
            sockets.tell(PREFIX + wake.session_id, _event(newest, nudge=many > MOST_SNAPSHOTS))
            pushed, changed_at = newest.revision, monotonic()
        rests = newest.completed or not many or monotonic() - changed_at >= _QUIET_SECONDS
        if rests and leases.release(wake.session_id, wake.lease, pushed):
            return
        sleep(_NUDGE_SECONDS if many > MOST_SNAPSHOTS else _PAUSE_SECONDS)
    if lease := leases.renew(wake.session_id, wake.lease):
        queueing.sender().send(PROGRESS, Wake(session_id=wake.session_id, lease=lease))


def sweep() -> int:
    """Wake pushers of changes that no process announced. Return how many. Safe to repeat."""
    return sum(announce(topic.removeprefix(PREFIX)) for topic in sockets.followed(PREFIX))


def _event(snapshot: Snapshot, *, nudge: bool) -> Event:
    topic = PREFIX + snapshot.session_id
    if nudge:
        return {"event": "progress.changed", "topic": topic, "revision": snapshot.revision}
    return {"event": "progress.snapshot", "topic": topic, **snapshot.model_dump(mode="json")}
