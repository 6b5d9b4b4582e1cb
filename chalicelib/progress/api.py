"""HTTP routes of progress: one snapshot to poll, to wait for and to list, and the writes of jobs elsewhere."""

from functools import partial

from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.errors import KeyReused
from chalicelib.core.errors import FieldError, Invalid, NotYours
from chalicelib.core.models import SessionId
from chalicelib.core.runtime import deadline
from chalicelib.core.stores import newest
from chalicelib.core.web import Answer, Call, Page, PageQuery, Role, Routes, paging
from chalicelib.progress import follow, many, push, wiring
from chalicelib.progress.errors import (
    ProgressCompleted,
    ProgressNotFound,
    RevisionConflict,
    WrittenHere,
)
from chalicelib.progress.models import Data, EventsQuery, Snapshot, WaitQuery, Write

#: Part of the function's time reserved for answering, and for a store that is slow to fail.
_MARGIN_MS = 2_000

routes = Routes(__name__)
#: Sessions of users have ids of another form under the name `session_id`.
_PARAMS = {"job_id": SessionId}


@routes.add(
    "PUT",
    "/api/progress/{job_id}",
    roles=frozenset({Role.SERVICE}),
    body=Write,
    params=_PARAMS,
    answers={200: Data},
    raises=(NotYours, ProgressNotFound, ProgressCompleted, RevisionConflict, WrittenHere, KeyReused),
    keyed=True,
)
def put_progress(call: Call[Write, None], job_id: str) -> Data:
    """Write the progress of a job that runs elsewhere. The account that writes first owns it.

    Counters are given as they are, safe to repeat, with an expected `revision` if you like; or as `increments` with an
    `Idempotency-Key`. The job completes when everything is settled, or with `completed: true`.
    """
    if call.body.increments is not None and call.key is None:
        raise Invalid([FieldError("Idempotency-Key", "is required with increments")])
    caller, key = call.caller, call.key if call.body.increments is not None else None
    written = wiring.store().put(job_id, caller.account, call.body, key=key, anyone=caller.is_admin)
    push.announce(job_id)
    return Data(data=written)


@routes.add(
    "GET",
    "/activation/progress",
    roles=frozenset({Role.OFFICER, Role.SERVICE}),
    query=PageQuery,
    answers={200: Page[Snapshot]},
)
def list_progress(call: Call[None, PageQuery]) -> str:
    """List running and recent jobs, newest first: your own, or all for an administrator."""
    fetch = partial(wiring.store().page, None if call.caller.is_admin else call.caller.account_id)
    return paging.cursors().render(
        f"progress of {call.caller.account_id}",
        call.query,
        fetch,
        lambda each: newest.position(each.created_at, each.session_id),
    )


@routes.add(
    "GET",
    "/activation/progress/{job_id}",
    query=WaitQuery,
    params=_PARAMS,
    answers={200: Data},
    raises=(NotYours, ProgressNotFound),
    waits=True,
)
def show_progress(call: Call[None, WaitQuery], job_id: str) -> Data:
    """Show how far a job has come. With `since` and `waitMs`, answer as soon as the revision is higher.

    At once if the job is completed, or if too many callers wait.
    """
    seen = wiring.store().get(job_id)
    call.caller.require_self_or_admin(seen.owner.account_id)
    since, wait_ms = call.query.since, call.query.wait_ms
    if since is None or not wait_ms or seen.completed or seen.revision > since:
        return Data(data=seen)
    with coordination.places().place(call.caller.account_id, wait_ms, call.operation.id) as free:
        return Data(data=_next(seen, since, wait_ms if free else 0))


@routes.add(
    "GET",
    "/activation/progress/{job_id}/events",
    params=_PARAMS,
    answers={200: None, 204: None},
    waits=True,
    tickets=True,
    stream=True,
)
def follow_progress(call: Call[None, None], job_id: str) -> Answer:
    """Follow a job by a browser's EventSource. First the newest snapshot, then each newer one; at the last one 204.

    The id of an event is its revision. A failure that stays is the event `end` with its reason, and then 204.
    """
    return follow.one(call.caller, job_id, call.last_event_id)


@routes.add(
    "GET",
    "/api/events",
    query=EventsQuery,
    answers={200: None, 204: None},
    waits=True,
    tickets=True,
    stream=True,
)
def follow_topics(call: Call[None, EventsQuery]) -> Answer:
    """Follow up to 20 topics by one EventSource: snapshots of jobs, and `changed` for approvals and inbox.

    The id of an event is the revision of each topic. A topic that ends says so, and the others go on.
    """
    return many.many(call.caller, call.query.topics, call.last_event_id)


def _next(seen: Snapshot, since: int, wait_ms: int) -> Snapshot:
    """Return the first snapshot above *since*, or the newest one after *wait_ms*."""
    found: Snapshot = wiring.waiter().wait(
        ("progress", seen.session_id),
        partial(wiring.store().get, seen.session_id),
        lambda found: found.completed or found.revision > since,
        seen,
        deadline.clamp_ms(wait_ms, margin_ms=_MARGIN_MS),
    )
    return found
