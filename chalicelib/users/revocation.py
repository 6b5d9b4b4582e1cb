"""A changed user's sessions end, and a deleted one's devices go: at once by who changed it, else by the sweep."""

from datetime import datetime

from chalicelib import devices, sessions
from chalicelib.core.runtime import ids
from chalicelib.users import wiring
from chalicelib.users.models import User
from chalicelib.users.store import Dismissal


def dismiss(user: User, *, gone: bool = False) -> None:
    """End the sessions *user* had before its change. Safe to repeat; the mark stays until it has worked."""
    _settle(Dismissal(user.username, user.epoch, gone))


def sweep() -> int:
    """End what died half-way. Returns how many users it was for."""
    due = wiring.store().dismissals()
    for dismissal in due:
        _settle(dismissal)
    return len(due)


def next_due() -> datetime | None:
    """Return when the oldest change was made whose sessions must still be ended."""
    # An epoch is a ULID, and carries the moment it was made.
    return min((ids.made_at(dismissal.epoch) for dismissal in wiring.store().dismissals()), default=None)


def _settle(dismissal: Dismissal) -> None:
    sessions.end(dismissal.username, keep_epoch=None if dismissal.gone else dismissal.epoch)
    if dismissal.gone:
        # The name is free after this, and its next holder must not be asked on the last one's phone.
        devices.forget(dismissal.username)
    wiring.store().dismissed(dismissal)
