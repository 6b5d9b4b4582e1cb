"""HTTP routes of activation. The routes of the progress of activations are the slice progress's."""

from functools import partial

from chalicelib import progress
from chalicelib.activation import begin, wiring
from chalicelib.activation.errors import ActivationNotFound, ActivationOver, MailNotSetUp, NothingFailed
from chalicelib.activation.models import (
    MOST_BODY_BYTES,
    Accepted,
    LeadQuery,
    NewActivation,
    ShownLead,
    State,
)
from chalicelib.activation.store import Activation
from chalicelib.core.errors import NotYours
from chalicelib.core.models import SessionId
from chalicelib.core.web import Call, Caller, Page, Routes, paging
from chalicelib.core.web.roles import Role
from chalicelib.progress import ProgressExists, Snapshot

routes = Routes(__name__)
_ROLES = frozenset({Role.OFFICER, Role.ADMIN})
_PARAMS = {"session_id": SessionId}


@routes.add(
    "POST",
    "/activation",
    roles=_ROLES,
    body=NewActivation,
    largest_body_bytes=MOST_BODY_BYTES,
    answers={202: Accepted},
    raises=(ProgressExists, MailNotSetUp),
)
def activate(call: Call[NewActivation, None]) -> Accepted:
    """Activate leads: make a user of each, and mail a link that sets the password. Answers before the work begins."""
    return begin.begin(call.body, call.caller.account, call.operation.id)


@routes.add(
    "GET",
    "/activation/{session_id}/leads",
    roles=_ROLES,
    params=_PARAMS,
    query=LeadQuery,
    answers={200: Page[ShownLead]},
    raises=(ActivationNotFound, NotYours),
)
def list_leads(call: Call[None, LeadQuery], session_id: str) -> str:
    """List settled leads with their outcomes, in the order of the list that was sent."""
    _own(call.caller, session_id)
    fetch = partial(wiring.ledger().page, session_id, call.query.outcome)
    return paging.cursors().render(f"leads of {session_id}", call.query, fetch, lambda lead: lead.position)


@routes.add(
    "POST",
    "/activation/{session_id}/retry-failed",
    roles=_ROLES,
    params=_PARAMS,
    answers={202: Accepted},
    raises=(ActivationNotFound, NotYours, NothingFailed, MailNotSetUp),
)
def retry_failed(call: Call[None, None], session_id: str) -> Accepted:
    """Make a new activation of the leads that failed, or whose mails failed, each once."""
    return begin.retry(_own(call.caller, session_id), call.caller.account, call.operation.id)


@routes.add(
    "POST",
    "/activation/{session_id}/pause",
    roles=_ROLES,
    params=_PARAMS,
    answers={200: Snapshot},
    raises=(ActivationNotFound, NotYours, ActivationOver),
)
def pause(call: Call[None, None], session_id: str) -> Snapshot:
    """Pause: no further lead and no further mail is begun. Leads that were begun are completed."""
    return _change(call.caller, session_id, State.PAUSED)


@routes.add(
    "POST",
    "/activation/{session_id}/resume",
    roles=_ROLES,
    params=_PARAMS,
    answers={200: Snapshot},
    raises=(ActivationNotFound, NotYours, ActivationOver),
)
def resume(call: Call[None, None], session_id: str) -> Snapshot:
    """Resume a paused activation."""
    snapshot = _change(call.caller, session_id, State.RUNNING)
    begin.wake(snapshot.total)
    begin.wake_mails()
    return snapshot


@routes.add(
    "POST",
    "/activation/{session_id}/cancel",
    roles=_ROLES,
    params=_PARAMS,
    answers={200: Snapshot},
    raises=(ActivationNotFound, NotYours, ActivationOver),
)
def cancel_activation(call: Call[None, None], session_id: str) -> Snapshot:
    """Cancel: leads that were not begun are dropped. Users that were made still get their mails."""
    _own(call.caller, session_id)
    try:
        snapshot = wiring.store().cancel(session_id)
    except progress.ProgressCompleted:
        raise ActivationOver from None
    except progress.ProgressNotFound:
        raise ActivationNotFound from None
    # Mails of a paused activation wait for a turn.
    begin.wake_mails()
    return snapshot


def _own(caller: Caller, session_id: str) -> Activation:
    """Return the activation, of the caller or for an administrator.

    Raises:
        ActivationNotFound: there is no such activation.
        NotYours: the activation belongs to another officer.
    """
    if (found := wiring.store().get(session_id)) is None:
        raise ActivationNotFound
    caller.require_self_or_admin(found.owner.account_id)
    return found


def _change(caller: Caller, session_id: str, state: State) -> Snapshot:
    _own(caller, session_id)
    try:
        snapshot = progress.get(session_id)
    except progress.ProgressNotFound:
        raise ActivationNotFound from None
    if snapshot.completed or not wiring.store().change(session_id, state):
        raise ActivationOver
    return snapshot
