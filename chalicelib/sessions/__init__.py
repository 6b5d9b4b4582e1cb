"""Sessions: who is signed in.

models.py  what a session is
errors.py  what can go wrong, in words a caller understands
store.py   where sessions live: one MongoDB collection, tokens as hashes only
api.py     HTTP routes

The gateway asks `identify`; other slices ask `end`.
"""

from chalicelib import wiring
from chalicelib.errors import Unauthenticated
from chalicelib.http import Caller


def identify(token: str) -> Caller:
    """Return whose *token* this is: one read of the primary, so that an ended session is dead everywhere at once.

    Raises:
        Unauthenticated: no session, or one that has ended.
    """
    session = wiring.sessions().find(token)
    if session is None:
        raise Unauthenticated("This session has ended, or never was.")
    return Caller(username=session.username, roles=frozenset(session.roles), session_id=session.session_id)


def end(username: str, keep_epoch: str | None = None) -> None:
    """End the sessions of *username*, save those opened under *keep_epoch*. Safe to repeat."""
    wiring.sessions().end_all(username, keep_epoch)
