"""Ends sessions of a user's former credentials, and devices of deleted users.

The process that changed the user revokes at once; the sweep does so if the process died. The slices of sessions
and devices each declare a function for revoking (`Slice.revoke`).
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from chalicelib.core.runtime import deadline, ids
from chalicelib.core.slice import Revoke
from chalicelib.users import wiring
from chalicelib.users.models import User
from chalicelib.users.store import Revocation

#: Time that ending one user's sessions takes with slow stores. With less time left, the next sweep continues.
_ENOUGH_MS = 1_000

_revokes: list[Revoke] = []


def declare(revokes: Iterable[Revoke]) -> None:
    """Register the slices' revoke functions. `chalicelib.slices` calls this once, when assembling the application."""
    _revokes.extend(revokes)


def revoke(user: User, *, gone: bool = False) -> None:
    """Revoke the earlier sessions of the changed *user*; with *gone*, revoke everything kept for the user.

    Safe to repeat. The revocation stays pending in the store until every revoke function has succeeded.
    """
    _complete(Revocation(user.username, user.epoch, gone))


def sweep() -> int:
    """Complete revocations left by processes that died: at least one, more if time allows. Return how many."""
    done = 0
    for pending in wiring.store().pending_revocations():
        if done and not deadline.allows(_ENOUGH_MS):
            break
        _complete(pending)
        done += 1
    return done


def next_due() -> datetime | None:
    """Return when the oldest change with a pending revocation was made, at the latest now; None without any."""
    # An epoch is a ULID, so it contains its time of creation, by the clock of the process that made the change. A
    # pending revocation is due at once, also if that clock was ahead.
    made = [ids.made_at(pending.epoch) for pending in wiring.store().pending_revocations()]
    return min([*made, datetime.now(UTC)]) if made else None


def _complete(pending: Revocation) -> None:
    if not _revokes:
        raise RuntimeError("No slice has declared a revoke function: import chalicelib.slices, which declares all.")
    for end in _revokes:
        end(pending.username, None if pending.gone else pending.epoch)
    # Completing frees the name of a deleted user, so everything of the deleted user must have ended before.
    wiring.store().complete_revocation(pending)
