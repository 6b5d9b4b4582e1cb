"""HTTP routes of approvals."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial

from chalicelib import users
from chalicelib.approvals import callback, wiring, worker
from chalicelib.approvals.counts import Counts, CountsQuery
from chalicelib.approvals.deliveries import Report, Step
from chalicelib.approvals.errors import (
    ActionNotOffered,
    AlreadyAnswered,
    AlreadySettled,
    ApprovalNotFound,
    NoPlaceToWait,
    NothingPending,
    UnknownPeople,
    UnknownUser,
)
from chalicelib.approvals.models import (
    Accepted,
    Approval,
    ApprovalQuery,
    CallbackSecret,
    GivenAction,
    NewApproval,
    Outcome,
    Removed,
    Seen,
    Status,
    UserAction,
    WaitQuery,
)
from chalicelib.approvals.outbox import dispatch
from chalicelib.core import egress
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.errors import FieldError, NotYours
from chalicelib.core.models import Id
from chalicelib.core.runtime import deadline
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.web import ADMIN_ONLY, Answer, Call, Caller, Page, Role, Routes, paging

#: Part of the function's time reserved for answering, and for a store that is slow to fail.
_MARGIN_MS = 2_000
#: The store's clock decides the timeout, and may run behind this process's. With the slack, no asker gets "pending".
_SLACK_MS = 1_000

#: Roles that may make requests.
_CALLERS = frozenset({Role.SERVICE, Role.OFFICER, Role.ADMIN})

routes = Routes(__name__)
_PARAMS = {"request_id": Id}


@routes.add(
    "POST",
    "/send-notification",
    roles=_CALLERS,
    body=NewApproval,
    answers={200: Outcome, 202: Accepted},
    raises=(UnknownUser, UnknownPeople, egress.AddressRefused, NoPlaceToWait),
    waits=True,
)
def ask(call: Call[NewApproval, None]) -> Answer:
    """Put a question to a user. Wait for the answer, or fetch the answer later with the request id."""
    new = call.body
    known = _accounts(new)
    if new.callback_url is not None:
        egress.check(new.callback_url, field="callbackUrl")
    if not new.wait:
        made = _put(call, known).approval
        return Answer(202, Accepted.model_validate(made.model_dump(include=set(Accepted.model_fields))))
    wait_ms = new.timeout_ms + _SLACK_MS
    # The place is taken first: a question whose caller cannot be held must not reach anybody.
    with _place(call.caller, wait_ms, call.operation.id) as free:
        if not free:
            raise NoPlaceToWait
        settled = _wait(_put(call, known), wait_ms)
    return Answer(200, Outcome.model_validate(settled.model_dump(include=set(Outcome.model_fields))))


@routes.add("GET", "/api/pending-responses", query=ApprovalQuery, answers={200: Page[Approval]}, raises=(NotYours,))
def list_approvals(call: Call[None, ApprovalQuery]) -> str:
    """List requests, newest first. An administrator sees all requests, a user only the requests the user may answer."""
    query = call.query
    account_id = _whose(call.caller, query.username)
    if account_id is None:
        return paging.page_of([], nextCursor=None)
    fetch = partial(wiring.store().page, account_id or None, query.status)
    return paging.cursors().render(
        "approvals by time", query, fetch, lambda listed: listed.position, lambda listed: listed.text
    )


@routes.add("GET", "/api/pending-responses/counts", query=CountsQuery, answers={200: Counts}, raises=(NotYours,))
def count_approvals(call: Call[None, CountsQuery]) -> Counts:
    """Count the requests of the list by state. Each number is exact below 500; 500 stands for 500 or more."""
    account_id = _whose(call.caller, call.query.username)
    if account_id is None:
        return Counts(pending=0, resolved=0, timeout=0, cancelled=0)
    return wiring.store().count(account_id or None)


@routes.add(
    "GET",
    "/api/pending-responses/{request_id}",
    query=WaitQuery,
    params=_PARAMS,
    answers={200: Approval},
    raises=(ApprovalNotFound, NotYours),
    waits=True,
)
def show_approval(call: Call[None, WaitQuery], request_id: str) -> Approval:
    """Show a request. With `waitMs`, answer as soon as the request is settled; at once if too many callers wait."""
    seen = wiring.store().get(request_id)
    call.caller.require_self_or_admin(seen.created_by, *seen.accounts)
    if seen.settled or not call.query.wait_ms:
        return _wait(seen, 0)
    with _place(call.caller, call.query.wait_ms, call.operation.id) as free:
        return _wait(seen, call.query.wait_ms if free else 0)


@routes.add(
    "POST",
    "/api/pending-responses/{request_id}/resolve",
    body=GivenAction,
    params=_PARAMS,
    answers={200: Approval},
    raises=(ApprovalNotFound, NotYours, AlreadySettled, AlreadyAnswered, ActionNotOffered),
)
def resolve(call: Call[GivenAction, None], request_id: str) -> Approval:
    """Answer a request. Of concurrent answers that settle the request, the first is kept."""
    caller, store = call.caller, wiring.store()
    seen = store.resolve(request_id, call.body.action, caller.account, call.operation.id, anyone=caller.is_admin)
    return dispatch(seen).approval


@routes.add(
    "POST",
    "/api/pending-responses/{request_id}/seen",
    body=Report,
    params=_PARAMS,
    answers={204: None},
    raises=(ApprovalNotFound, NotYours),
)
def report(call: Call[Report, None], request_id: str) -> None:
    """Report that your device has received a question, or that you have opened it. The first time of each is kept."""
    if not wiring.reach().note(request_id, call.caller.account, [call.body.device_id], Step(call.body.what)):
        wiring.store().get(request_id)
        raise NotYours


@routes.add(
    "POST",
    "/api/user-action",
    body=UserAction,
    answers={200: Approval},
    raises=(NothingPending, NotYours, AlreadyAnswered, ActionNotOffered),
)
def act(call: Call[UserAction, None]) -> Approval:
    """Answer a user's oldest pending request. The answer names the caller, who counts once in each request."""
    person = _account(call.caller, call.body.username)
    store, operation = wiring.store(), call.operation
    # The request answered by the first attempt may be settled, and a repeat must not answer the next request instead.
    if operation.repeated and (done := store.done_by(operation.id)):
        return dispatch(done).approval
    if person is None:
        raise NothingPending
    return dispatch(store.resolve_oldest(person, call.body.action, call.caller.account, operation.id)).approval


@routes.add(
    "POST",
    "/api/pending-responses/{request_id}/cancel",
    params=_PARAMS,
    answers={200: Approval},
    raises=(ApprovalNotFound, NotYours, AlreadySettled),
)
def cancel(call: Call[None, None], request_id: str) -> Approval:
    """Cancel a pending request."""
    caller = call.caller
    seen = wiring.store().cancel(request_id, caller.account, call.operation.id, anyone=caller.is_admin)
    return dispatch(seen).approval


@routes.add("POST", "/api/pending-responses/cleanup", roles=ADMIN_ONLY, answers={200: Removed})
def clean_up(call: Call[None, None]) -> Removed:
    """Run the sweep of approvals now; the schedule runs the sweep every minute."""
    return Removed(removed=worker.sweep())


@routes.add("GET", "/api/callback-secret", roles=_CALLERS, answers={200: CallbackSecret})
def show_callback_secret(call: Call[None, None]) -> CallbackSecret:
    """Show the secret used to sign the caller's own callbacks (Standard Webhooks)."""
    return CallbackSecret(secret=callback.secret_of(call.caller.account_id))


def _account(caller: Caller, username: str) -> Account | None:
    """Return the current account of *username*, or None if there is no such user. The caller's own needs no read.

    Raises:
        NotYours: the name is not the caller's, and the caller is no administrator.
    """
    if username == caller.username:
        return caller.account
    caller.require_self_or_admin()
    account_id = users.accounts([username]).get(username)
    return Account(username, account_id) if account_id else None


def _whose(caller: Caller, username: str | None) -> str | None:
    """Return the account id whose requests the caller may see; empty for all requests; None if there is no such user.

    Raises:
        NotYours: the name is not the caller's, and the caller is no administrator.
    """
    if caller.is_admin and not username:
        return ""
    account = _account(caller, username or caller.username)
    return account and account.account_id


def _accounts(new: NewApproval) -> Mapping[str, str]:
    """Return the account id of every person named, in one read.

    Raises:
        UnknownUser, UnknownPeople: the person asked, or others named, are no users.
    """
    known = users.accounts(new.named)
    unknown = [name for name in new.named if name not in known]
    if new.username in unknown:
        raise UnknownUser
    if unknown:
        raise UnknownPeople(
            [
                FieldError("approvers" if name in new.approvers else "escalateTo", f"{name} is not a user")
                for name in unknown
            ]
        )
    return known


def _put(call: Call[NewApproval, None], known: Mapping[str, str]) -> Seen:
    return dispatch(wiring.store().put(call.operation.id, call.body, call.caller.account, known))


def _place(caller: Caller, wait_ms: int, operation: str) -> AbstractContextManager[bool]:
    return coordination.places().place(caller.account_id, wait_ms, operation)


def _wait(seen: Seen, wait_ms: int) -> Approval:
    waited = wiring.waiter().wait(seen, deadline.clamp_ms(wait_ms, margin_ms=_MARGIN_MS))
    # This call may have recorded the timeout, and then dispatches the entries. The answering call dispatches its own.
    return (dispatch(waited) if waited.approval.status is Status.TIMEOUT else waited).approval
