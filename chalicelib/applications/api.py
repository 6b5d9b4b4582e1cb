"""HTTP routes of applications."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from chalicelib.applications import wiring
from chalicelib.applications.disburse import disburse
from chalicelib.applications.errors import (
    Disbursing,
    NotInThisState,
    RecordExists,
    RecordNotFound,
    VersionConflict,
    VersionRequired,
)
from chalicelib.applications.models import (
    Application,
    ApplicationChange,
    ApplicationId,
    BatchOutcome,
    BatchUpdate,
    NewApplication,
    ShownVersion,
    Status,
    VersionQuery,
    before,
    removable,
    shown,
    shown_version,
    sources,
)
from chalicelib.applications.refusals import explained
from chalicelib.applications.search import COUNTED, KIND, ApplicationPage, ApplicationQuery
from chalicelib.applications.store import Cursor
from chalicelib.core.errors import ServiceError
from chalicelib.core.records import etags
from chalicelib.core.records import wiring as records
from chalicelib.core.records.models import Change, Record
from chalicelib.core.web import ADMIN_ONLY, Answer, Call, Page, PageQuery, Role, Routes, paging

#: Roles that may read and change applications.
_OFFICERS = frozenset({Role.OFFICER, Role.ADMIN})
_PARAMS = {"application_id": ApplicationId}

routes = Routes(__name__)


@routes.add(
    "POST",
    "/api/applications",
    roles=_OFFICERS,
    body=NewApplication,
    answers={201: Application},
    raises=(RecordExists,),
)
def create_application(call: Call[NewApplication, None]) -> Answer:
    """Make an application. Of concurrent requests with the same id, one succeeds."""
    application_id = call.body.application_id or call.operation.id
    return _answer(201, records.store().create(KIND.name, application_id, call.body.fields, **_author(call)))


@routes.add("GET", "/api/applications", roles=_OFFICERS, query=ApplicationQuery, answers={200: ApplicationPage})
def list_applications(call: Call[None, ApplicationQuery]) -> str:
    """List applications, page by page or by cursor. `total` is counted up to 10,000."""
    query = call.query
    # A cursor marks a position in the list; page and limit may change between calls.
    sealed = {"list": "applications", **query.model_dump(mode="json", include={"status", "q", "sort"})}
    cursors = paging.cursors()
    after = Cursor(*json.loads(cursors.open(sealed, query.cursor))) if query.cursor else None
    found = wiring.store().page(query, after)
    # No page outgrows a function's response: 200 applications have at most 1 MB, whatever their fields hold.
    return paging.page_of(
        found.items,
        page=after.page if after else query.page or 1,
        limit=query.limit,
        total=min(found.total, COUNTED),
        totalIsLowerBound=found.total > COUNTED,
        nextCursor=cursors.seal(sealed, json.dumps(found.next_cursor)) if found.next_cursor else None,
    )


@routes.add(
    "GET",
    "/api/applications/{application_id}",
    roles=_OFFICERS,
    params=_PARAMS,
    answers={200: Application},
    raises=(RecordNotFound,),
    versioned=True,
)
def show_application(call: Call[None, None], application_id: str) -> Answer:
    """Show the current state of an application. The ETag names the version."""
    return _answer(200, records.store().get(KIND.name, application_id))


@routes.add(
    "PUT",
    "/api/applications/{application_id}",
    roles=_OFFICERS,
    params=_PARAMS,
    body=ApplicationChange,
    answers={200: Application},
    raises=(RecordNotFound, VersionConflict, NotInThisState, VersionRequired),
    versioned=True,
)
def change_application(call: Call[ApplicationChange, None], application_id: str) -> Answer:
    """Replace fields of one version; absent fields stay. Of concurrent changes of a version, one succeeds."""
    fields = call.body.fields
    change = Change(application_id, etags.version(call.body.version, call.if_match), fields, before(fields))
    with explained(fields):
        return _answer(200, records.store().commit(KIND.name, change, **_author(call)))


@routes.add(
    "DELETE",
    "/api/applications/{application_id}",
    roles=ADMIN_ONLY,
    params=_PARAMS,
    query=VersionQuery,
    answers={204: None},
    raises=(RecordNotFound, VersionConflict, NotInThisState, VersionRequired),
    versioned=True,
)
def delete_application(call: Call[None, VersionQuery], application_id: str) -> None:
    """Delete an application at one version, unless the application was paid out."""
    expected = etags.version(call.query.version, call.if_match)
    with explained():
        records.store().remove(KIND.name, application_id, expected, where=removable(), **_author(call))


@routes.add(
    "POST",
    "/api/applications/batch-update",
    roles=_OFFICERS,
    body=BatchUpdate,
    answers={200: BatchOutcome},
)
def move_applications(call: Call[BatchUpdate, None]) -> BatchOutcome:
    """Move up to 500 applications, each by a separate condition. The answer lists every id exactly once."""
    status = Status(call.body.status)
    states, fields = [{"status": sorted(sources(status))}], {"status": status.value}
    changes = [Change(name, version, fields, states) for name, version in call.body.wanted.items()]
    return _outcome(changes, records.store().commit_all(KIND.name, changes, **_author(call)))


@routes.add(
    "GET",
    "/api/applications/{application_id}/history",
    roles=_OFFICERS,
    params=_PARAMS,
    query=PageQuery,
    answers={200: Page[ShownVersion]},
    raises=(RecordNotFound,),
)
def show_history(call: Call[None, PageQuery], application_id: str) -> str:
    """Show the versions of an application, newest first: author, time and changes. Includes deleted applications."""

    def fetch(limit: int, before: str | None) -> Iterator[ShownVersion]:
        found = records.history().page(KIND.name, application_id, limit, int(before) if before else None)
        # History is written after the system of record, so a new application may have no history yet.
        if not found and not before and records.store().get_including_deleted(KIND.name, application_id) is None:
            raise RecordNotFound
        return (shown_version(*changed) for changed in found)

    name = f"history of {application_id}"
    return paging.cursors().render(name, call.query, fetch, lambda shown: str(shown.version))


@routes.add(
    "POST",
    "/api/applications/{application_id}/disburse",
    roles=ADMIN_ONLY,
    params=_PARAMS,
    answers={200: Application},
    raises=(RecordNotFound, NotInThisState, Disbursing),
)
def disburse_application(call: Call[None, None], application_id: str) -> Answer:
    """Pay out an approved application. The money moves exactly once, however many calls ask."""
    return _answer(200, disburse(application_id, **_author(call)))


def _author(call: Call[Any, Any]) -> dict[str, str]:
    return {"by": call.caller.username, "operation": call.operation.id}


def _answer(status: int, record: Record) -> Answer:
    return Answer(status, shown(record), etags.etag(record))


def _outcome(changes: Sequence[Change], outcomes: Sequence[Record | ServiceError]) -> BatchOutcome:
    """Return the ids sorted by outcome.

    Raises:
        ServiceError: some outcomes are unknown. The call can be repeated with the same Idempotency-Key.
    """
    ids_by_kind: dict[type, list[str]] = {
        kind: [] for kind in (Record, VersionConflict, RecordNotFound, NotInThisState)
    }
    for change, outcome in zip(changes, outcomes, strict=True):
        if isinstance(outcome, ServiceError) and type(outcome) not in ids_by_kind:
            raise outcome
        ids_by_kind[type(outcome)].append(change.id)
    updated, conflicts, missing, invalid = ids_by_kind.values()
    return BatchOutcome(updated=updated, conflicts=conflicts, missing=missing, invalid=invalid)
