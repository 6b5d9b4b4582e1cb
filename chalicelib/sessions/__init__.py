"""Sessions: signs users in, and finds the caller of a token.

models.py   sessions, tickets and their shapes over HTTP
errors.py   errors shown to callers
store.py    sessions and tickets in MongoDB collections, tokens as hashes only
login_limit.py limits guesses of a password, by address and by name
refusals.py remembers refused addresses in the process
settings.py options
wiring.py   makes the stores, once per process
slice.py    the declaration of the slice
api.py      HTTP routes

The application calls `identify` and `redeem`. Users' revocation calls `end` for a changed user.
"""

from chalicelib import users
from chalicelib.core.errors import Unauthenticated
from chalicelib.core.web.roles import Caller
from chalicelib.sessions import wiring
from chalicelib.sessions.models import Session


def identify(token: str) -> Caller:
    """Return the caller of *token*: one read of the primary, so an ended session is invalid everywhere at once.

    An API key identifies a caller as a session does; checking a key reads DynamoDB only.

    Raises:
        Unauthenticated: the session is unknown or has ended, or the key is unknown or no longer valid.
    """
    if users.is_key(token):
        return _key_caller(token)
    session = wiring.store().find(token)
    if session is None:
        raise Unauthenticated("There is no such session, or the session has ended.")
    return _caller(session)


def redeem(ticket: str, path: str) -> Caller:
    """Return the caller of *ticket*, valid for *path*. The ticket is used up, unless issued for reconnects of a path.

    Raises:
        Unauthenticated: the ticket was used before, has expired or is for another path, or the session has ended.
    """
    session_id = wiring.tickets().redeem(ticket, path)
    session = wiring.store().get(session_id) if session_id else None
    if session is None:
        raise Unauthenticated("This ticket is not valid for this path, or no longer valid.")
    return _caller(session)


def end(username: str, keep_epoch: str | None = None) -> None:
    """End the sessions of *username*, except sessions opened under *keep_epoch*. Safe to repeat."""
    wiring.store().end_all(username, keep_epoch)


def _key_caller(key: str) -> Caller:
    if (user := users.holder(key)) is None:
        raise Unauthenticated("This key is not valid, or no longer valid.")
    return Caller(username=user.username, roles=user.roles, account_id=user.account_id)


def _caller(session: Session) -> Caller:
    return Caller(
        username=session.username,
        roles=frozenset(session.roles),
        session_id=session.session_id,
        account_id=session.account_id,
    )
