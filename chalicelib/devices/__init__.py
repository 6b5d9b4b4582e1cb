"""Devices: who has which, and pushing to them through Firebase Cloud Messaging (FCM).

models.py   what a device is, what a push says and what became of it
errors.py   what can go wrong, in words a caller understands
store.py    where devices live: one MongoDB collection
message.py  a push as FCM takes it
fcm.py      FCM's HTTP v1 API: sending, and what its answers mean
deliver.py  one push to all devices of a person
settings.py options
wiring.py   makes the store and FCM's client, once per process
slice.py    what this slice brings
api.py      HTTP routes

Other slices ask `push`; nothing else here is theirs.
"""

from chalicelib.devices import wiring
from chalicelib.devices.models import Delivered, Notification

__all__ = ["Delivered", "Notification", "push", "revoke"]


def push(username: str, notification: Notification) -> Delivered:
    """Send *notification* to the devices of *username* that have not been told of its collapse key; for workers.

    A device that FCM does not know any more is unregistered. FCM failing, or not being configured, is told and never
    raised; it is on the invocation's line, and in the log where someone has to see to it. Where some devices are
    unsettled, push the same again after the time that is told: the others are left out.

    Raises:
        Unavailable: MongoDB, or the secret, cannot be reached. Some devices may have been told.
    """
    from chalicelib.devices.deliver import deliver  # noqa: PLC0415 # the API needs no HTTP client

    return deliver(username, notification)


def revoke(username: str, epoch: str | None) -> None:
    """Forget every device of a user who is gone, whose name may be someone else's tomorrow. Safe to repeat.

    A user whose credentials have changed to *epoch* keeps the devices.
    """
    if epoch is None:
        wiring.store().forget(username)
