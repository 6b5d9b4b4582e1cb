"""HTTP routes for signing in and out, for tickets, and for administrators to list and end sessions."""

from functools import partial

from chalicelib import users
from chalicelib.core.errors import TooMany
from chalicelib.core.models import Id, Username
from chalicelib.core.stores import newest
from chalicelib.core.web import ADMIN_ONLY, PUBLIC, Answer, Call, Page, Routes, credentials, paging
from chalicelib.sessions import endings, login_limit, wiring
from chalicelib.sessions.errors import ManySignIn, SessionNotFound, TooManyFailures, TooManyGuesses, WrongCredentials
from chalicelib.sessions.models import Login, NewTicket, Opened, Session, SessionQuery, Ticket

routes = Routes(__name__)


@routes.add(
    "POST",
    "/api/sessions",
    roles=PUBLIC,
    body=Login,
    answers={201: Opened},
    # The gateway takes fewer calls of this route than of others.
    raises=(WrongCredentials, TooManyFailures, TooManyGuesses, ManySignIn, TooMany),
)
def open_session(call: Call[Login, None]) -> Answer:
    """Sign in. A wrong name and a wrong password get the same answer in the same time."""
    user = login_limit.verify(call.body.username, call.body.password.get_secret_value(), call.source)
    session, token = wiring.store().open(user.username, user.roles, user.epoch, user.account_id)
    # A change of the user after the check above may have ended the sessions of the user before ours was opened.
    now = users.current(user.username)
    if now is None or now.epoch != user.epoch:
        wiring.store().end(session.session_id)
        raise WrongCredentials
    opened = Opened(
        token=token,
        session_id=session.session_id,
        username=session.username,
        roles=session.roles,
        expires_at=session.expires_at,
    )
    return Answer(201, opened, headers={"Set-Cookie": credentials.set_cookie(token)} if call.body.cookie else None)


@routes.add("GET", "/api/sessions/current", answers={200: Session}, raises=(SessionNotFound,))
def show_current(call: Call[None, None]) -> Session:
    """Show the session of the call."""
    if (found := wiring.store().get(_own_session_id(call))) is None:
        raise SessionNotFound
    return found


@routes.add("DELETE", "/api/sessions/current", answers={204: None}, raises=(SessionNotFound,))
def end_current(call: Call[None, None]) -> Answer:
    """Sign out. The token is invalid at once, on every instance; a browser drops the cookie."""
    wiring.store().end(_own_session_id(call))
    endings.tell(call.caller.username)
    return Answer(204, None, headers={"Set-Cookie": credentials.clear_cookie()})


@routes.add(
    "POST",
    "/api/sessions/current/ticket",
    body=NewTicket,
    body_optional=True,
    answers={201: Ticket},
    raises=(SessionNotFound,),
    secret=True,
)
def issue_ticket(call: Call[NewTicket, None]) -> Ticket:
    """Get a ticket for `?ticket=`, for clients that cannot set a header. A ticket is valid once, within 30 seconds.

    A ticket for a path that ends in `/events` is also valid for reconnects to the path, for an hour after issue.
    """
    issued = wiring.tickets().issue(_own_session_id(call), call.body)
    return Ticket(ticket=issued.ticket, expires_at=issued.expires_at)


@routes.add("GET", "/api/sessions", roles=ADMIN_ONLY, query=SessionQuery, answers={200: Page[Session]})
def list_sessions(call: Call[None, SessionQuery]) -> str:
    """List live sessions, newest first by the server's clock, without tokens."""
    fetch = partial(wiring.store().page, call.query.username)
    # The name is new with the order: a cursor of an earlier version is refused.
    return paging.cursors().render("newest-sessions", call.query, fetch, _position)


@routes.add(
    "DELETE",
    "/api/sessions/{session_id}",
    roles=ADMIN_ONLY,
    params={"session_id": Id},
    answers={204: None},
    raises=(SessionNotFound,),
)
def end_session(call: Call[None, None], session_id: str) -> None:
    """End one session."""
    found = wiring.store().get(session_id)
    if not wiring.store().end(session_id):
        raise SessionNotFound
    if found:
        endings.tell(found.username)


@routes.add(
    "DELETE", "/api/users/{username}/sessions", roles=ADMIN_ONLY, params={"username": Username}, answers={204: None}
)
def end_sessions(call: Call[None, None], username: str) -> None:
    """End every session of a user."""
    wiring.store().end_all(username)
    endings.tell(username)


def _position(session: Session) -> str:
    return newest.position(session.created_at, session.session_id)


def _own_session_id(call: Call[None, None] | Call[NewTicket, None]) -> str:
    if (session_id := call.caller.session_id) is None:
        raise SessionNotFound("An API key has no session.")
    return session_id
