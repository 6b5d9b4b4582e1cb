"""Revocation: what was opened or registered under a user's former credentials ends.

The process that changed the user revokes at once; the sweep does so if that process died. The slices that keep such
things declare how to end them (`Slice.revoke`): sessions, devices.
"""

from collections.abc import Iterable
from datetime import datetime

from chalicelib.core.runtime import deadline, ids
from chalicelib.core.slice import Revoke
from chalicelib.users import wiring
from chalicelib.users.models import User
from chalicelib.users.store import Dismissal

#: As long as ending one user's sessions takes where stores are slow; with less left, the next sweep goes on.
_ENOUGH_MS = 1_000

_revokes: list[Revoke] = []


def declare(revokes: Iterable[Revoke]) -> None:
    """Make known what the slices declare; `chalicelib.slices` calls this once, when the application is put together."""
    _revokes.extend(revokes)


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
    if not _revokes:
        raise RuntimeError("No slice revokes anything: import chalicelib.slices, which puts the application together.")
    for revoke in _revokes:
        revoke(dismissal.username, None if dismissal.gone else dismissal.epoch)
    # The name of a user who is gone is free after this, so everything that was theirs has ended before.
    wiring.store().dismissed(dismissal)
