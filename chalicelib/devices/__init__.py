"""Devices: registers people's devices, and pushes to the devices through Firebase Cloud Messaging (FCM).

models.py   devices, notifications, and the result of a push
errors.py   errors shown to callers
store.py    devices in one MongoDB collection
message.py  builds a message in FCM's format
fcm.py      FCM's HTTP v1 API: sends messages, and interprets the answers
deliver.py  sends one push to all devices of a person
settings.py options
wiring.py   makes the store and FCM's client, once per process
slice.py    the declaration of the slice
api.py      HTTP routes

Other slices call `push`, `notified` and `withdraw`, and import nothing else from here. `revoke` is for the declaration
of the slice.
"""

from collections.abc import Sequence

from chalicelib.core.runtime.accounts import Account
from chalicelib.devices import wiring
from chalicelib.devices.models import Delivered, Notification, Withdrawal

__all__ = ["Delivered", "Notification", "Withdrawal", "notified", "push", "revoke", "withdraw"]


def push(owner: Account, notification: Notification) -> Delivered:
    """Send *notification* to the devices of *owner* not yet notified under the collapse key. For workers only.

    A device unknown to FCM is unregistered. Failures of FCM and a missing configuration are returned, never raised. The
    invocation's log record counts each failure; a failure that needs an operator is also logged as an error. If some
    devices are unsettled, repeat the push after ``again_after_seconds``; notified devices are left out.

    Raises:
        Unavailable: MongoDB or the secret cannot be reached. Some devices may have been notified.
    """
    from chalicelib.devices.deliver import deliver  # noqa: PLC0415 # the API needs no HTTP client

    return deliver(owner, notification)


def notified(account_ids: Sequence[str], collapse_key: str) -> bool:
    """Return whether a device of one of the accounts was notified under *collapse_key*. One read."""
    return wiring.store().notified(account_ids, collapse_key)


def withdraw(owner: Account, withdrawal: Withdrawal) -> Delivered:
    """Send *withdrawal* to the devices of *owner* that were notified and not yet told. As `push` in all else."""
    from chalicelib.devices.deliver import withdraw  # noqa: PLC0415 # the API needs no HTTP client

    return withdraw(owner, withdrawal)


def revoke(username: str, epoch: str | None) -> None:
    """Unregister every device of a deleted user (*epoch* None). Safe to repeat.

    A user with changed credentials (a new *epoch*) keeps the devices.
    """
    if epoch is None:
        wiring.store().forget(username)
