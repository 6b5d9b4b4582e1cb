"""A changed user's sessions end, and a deleted one's devices go: at once by who changed it, else by the sweep."""

from datetime import datetime

from chalicelib import devices, sessions
from chalicelib.core.runtime import deadline, ids
from chalicelib.users import wiring
from chalicelib.users.models import User
from chalicelib.users.store import Dismissal

#: As long as ending one user's sessions takes where stores are slow; with less left, the next sweep goes on.
_ENOUGH_MS = 1_000


def dismiss(user: User, *, gone: bool = False) -> None:
    """End the sessions *user* had before its change. Safe to repeat; the mark stays until it has worked."""
    _settle(Dismissal(user.username, user.epoch, gone))


def sweep() -> int:
    """End what died half-way: one user's sessions at least, more where the time allows. Returns how many users."""
    done = 0
    for dismissal in wiring.store().dismissals():
        if done and not deadline.allows(_ENOUGH_MS):
            break
        _settle(dismissal)
        done += 1
    return done


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
