"""Sessions: who is signed in.

models.py   what a session is, and what stands for one
errors.py   what can go wrong, in words a caller understands
store.py    where sessions and tickets live: MongoDB collections, tokens as hashes only
login_limit.py how often a password may be guessed
settings.py options
wiring.py   makes the stores, once per process
slice.py    what this slice brings
api.py      HTTP routes

The application asks `identify` and `redeem`; `end` is what a changed user's sessions are revoked by.
"""

from chalicelib import users
from chalicelib.core.errors import Unauthenticated
from chalicelib.core.web.roles import Caller
from chalicelib.sessions import wiring
from chalicelib.sessions.models import Session


def identify(token: str) -> Caller:
    """Return whose *token* this is: one read of the primary, so that an ended session is dead everywhere at once.

    An API key is as good as a session and asks DynamoDB alone.

    Raises:
        Unauthenticated: no session, or one that has ended; no key, or one that is no longer valid.
    """
    if users.is_key(token):
        return _holder(token)
    session = wiring.store().find(token)
    if session is None:
        raise Unauthenticated("This session has ended, or never was.")
    return _caller(session)


def redeem(ticket: str, path: str) -> Caller:
    """Return for whom this *ticket* opens *path*. It is used up by that, unless it serves a path's reconnects.

    Raises:
        Unauthenticated: it was used before, its time is over, it is for another path, or its session has ended.
    """
    session_id = wiring.tickets().redeem(ticket, path)
    session = wiring.store().get(session_id) if session_id else None
    if session is None:
        raise Unauthenticated("This ticket does not open this path, or no longer.")
    return _caller(session)


def end(username: str, keep_epoch: str | None = None) -> None:
    """End the sessions of *username*, save those opened under *keep_epoch*. Safe to repeat."""
    wiring.store().end_all(username, keep_epoch)


def _holder(key: str) -> Caller:
    if (user := users.holder(key)) is None:
        raise Unauthenticated("This key is not valid, or no longer.")
    return Caller(username=user.username, roles=user.roles)


def _caller(session: Session) -> Caller:
    return Caller(username=session.username, roles=frozenset(session.roles), session_id=session.session_id)
