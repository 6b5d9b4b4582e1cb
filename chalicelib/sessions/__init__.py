"""Sessions: signs users in, and finds the caller of a token.

models.py   sessions, tickets and their shapes over HTTP
errors.py   errors shown to callers
store.py    sessions and tickets in MongoDB collections, tokens as hashes only
login_limit.py limits guesses of a password, by address and by name
refusals.py remembers refused addresses in the process
settings.py options
endings.py  tells other slices of sessions that were ended
wiring.py   makes the stores, once per process
slice.py    the declaration of the slice
api.py      HTTP routes

The application calls `identify` and `redeem`. Users' revocation calls `end` for a changed user. Connections that last
call `again` and `valid`.
"""

from collections.abc import Sequence

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


def again(caller: Caller) -> Caller | None:
    """Return the *caller* of an earlier call as of now, or None if session or key is no longer valid. Counts as a use.

    A user whose roles or password changed since has no valid session and, under the former credentials, no valid key.
    """
    if caller.session_id is not None:
        session = wiring.store().use(caller.session_id)
        return _caller(session) if session else None
    return caller if _holds_key(caller) else None


def valid(callers: Sequence[Caller]) -> list[bool]:
    """Return for each of *callers* whether the session or key is still valid: one read, and one for each key."""
    session_ids = {caller.session_id for caller in callers if caller.session_id is not None}
    live = wiring.store().live(session_ids) if session_ids else frozenset()
    keys = {caller: _holds_key(caller) for caller in set(callers) if caller.session_id is None}
    return [caller.session_id in live or keys.get(caller, False) for caller in callers]


def end(username: str, keep_epoch: str | None = None) -> None:
    """End the sessions of *username*, except sessions opened under *keep_epoch*. Safe to repeat."""
    wiring.store().end_all(username, keep_epoch)


def _key_caller(key: str) -> Caller:
    if (user := users.holder(key)) is None:
        raise Unauthenticated("This key is not valid, or no longer valid.")
    return Caller(
        username=user.username,
        roles=user.roles,
        account_id=user.account_id,
        key_id=users.key_id(key),
        epoch=user.epoch,
    )


def _holds_key(caller: Caller) -> bool:
    """Return whether the key of *caller* is still a key of the same account, under the same credentials version."""
    user = users.keeper(caller.username, caller.key_id) if caller.key_id else None
    return user is not None and (user.account_id, user.epoch) == (caller.account_id, caller.epoch)


def _caller(session: Session) -> Caller:
    return Caller(
        username=session.username,
        roles=frozenset(session.roles),
        session_id=session.session_id,
        account_id=session.account_id,
        epoch=session.epoch,
    )
