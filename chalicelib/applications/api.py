"""Applications over HTTP."""

import json
from collections.abc import Sequence
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
from chalicelib.applications.search import COUNTED, KIND, ApplicationPage, ApplicationQuery
from chalicelib.applications.store import Place
from chalicelib.core.errors import ServiceError
from chalicelib.core.records import etags
from chalicelib.core.records import wiring as records
from chalicelib.core.records.history import Changed
from chalicelib.core.records.models import Change, Record
from chalicelib.core.web import ADMIN_ONLY, Answer, Call, Page, PageQuery, Role, Routes, paging

#: Who works on applications.
_OFFICERS = frozenset({Role.OFFICER, Role.ADMIN})
_ONE = {"application_id": ApplicationId}

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
    """Make an application. Of many under one id one is made."""
    application_id = call.body.application_id or call.operation.id
    return _shown(201, records.store().create(KIND.name, application_id, call.body.fields, **_who(call)))


@routes.add("GET", "/api/applications", roles=_OFFICERS, query=ApplicationQuery, answers={200: ApplicationPage})
def list_applications(call: Call[None, ApplicationQuery]) -> ApplicationPage:
    """List applications, page by page or by cursor; `total` is counted up to 10,000."""
    query = call.query
    # A cursor goes on from a place, whichever page and limit led there.
    sealed = {"list": "applications", **query.model_dump(mode="json", include={"status", "q", "sort"})}
    cursors = paging.cursors()
    after = Place(*json.loads(cursors.open(sealed, query.cursor))) if query.cursor else None
    found = wiring.store().page(query, after)
    return ApplicationPage(
        items=found.items,
        page=after.page if after else query.page or 1,
        limit=query.limit,
        total=min(found.total, COUNTED),
        total_is_lower_bound=found.total > COUNTED,
        next_cursor=cursors.seal(sealed, json.dumps(found.following)) if found.following else None,
    )


@routes.add(
    "GET",
    "/api/applications/{application_id}",
    roles=_OFFICERS,
    params=_ONE,
    answers={200: Application},
    raises=(RecordNotFound,),
)
def show_application(call: Call[None, None], application_id: str) -> Answer:
    """Show an application as it is at this moment; its ETag names the version."""
    return _shown(200, records.store().get(KIND.name, application_id))


@routes.add(
    "PUT",
    "/api/applications/{application_id}",
    roles=_OFFICERS,
    params=_ONE,
    body=ApplicationChange,
    answers={200: Application},
    raises=(RecordNotFound, VersionConflict, NotInThisState, VersionRequired),
    versioned=True,
)
def change_application(call: Call[ApplicationChange, None], application_id: str) -> Answer:
    """Replace fields of one version; absent ones stay. Of many at the same version one succeeds."""
    fields = call.body.fields
    change = Change(application_id, etags.version(call.body.version, call.if_match), fields, before(fields))
    return _shown(200, records.store().commit(KIND.name, change, **_who(call)))


@routes.add(
    "DELETE",
    "/api/applications/{application_id}",
    roles=ADMIN_ONLY,
    params=_ONE,
    query=VersionQuery,
    answers={204: None},
    raises=(RecordNotFound, VersionConflict, NotInThisState, VersionRequired),
    versioned=True,
)
def delete_application(call: Call[None, VersionQuery], application_id: str) -> None:
    """Delete one version of an application, unless it was paid out."""
    expected = etags.version(call.query.version, call.if_match)
    records.store().remove(KIND.name, application_id, expected, where=removable(), **_who(call))


@routes.add(
    "POST",
    "/api/applications/batch-update",
    roles=_OFFICERS,
    body=BatchUpdate,
    answers={200: BatchOutcome},
)
def move_applications(call: Call[BatchUpdate, None]) -> BatchOutcome:
    """Move up to 500 applications, each by its own condition; every id is accounted for once."""
    status = Status(call.body.status)
    states, fields = [{"status": sorted(sources(status))}], {"status": status.value}
    changes = [Change(name, version, fields, states) for name, version in call.body.wanted.items()]
    return _outcome(changes, records.store().commit_all(KIND.name, changes, **_who(call)))


@routes.add(
    "GET",
    "/api/applications/{application_id}/history",
    roles=_OFFICERS,
    params=_ONE,
    query=PageQuery,
    answers={200: Page[ShownVersion]},
    raises=(RecordNotFound,),
)
def show_history(call: Call[None, PageQuery], application_id: str) -> Page[ShownVersion]:
    """Show the versions of an application, newest first: who, when and what; also of one that was deleted."""

    def fetch(limit: int, before: str | None) -> list[Changed]:
        return records.history().page(KIND.name, application_id, limit, int(before) if before else None)

    name = f"history of {application_id}"
    page, next_cursor = paging.cursors().page(name, call.query, fetch, lambda found: str(found.version.version))
    # History is written behind the truth, so of a new application there may be none yet.
    if not page and records.store().get_including_deleted(KIND.name, application_id) is None:
        raise RecordNotFound
    return Page[ShownVersion](items=[shown_version(*found) for found in page], next_cursor=next_cursor)


@routes.add(
    "POST",
    "/api/applications/{application_id}/disburse",
    roles=ADMIN_ONLY,
    params=_ONE,
    answers={200: Application},
    raises=(RecordNotFound, NotInThisState, Disbursing),
)
def disburse_application(call: Call[None, None], application_id: str) -> Answer:
    """Pay an approved application out. The money moves once, whoever asks and however often."""
    return _shown(200, disburse(application_id, **_who(call)))


def _who(call: Call[Any, Any]) -> dict[str, str]:
    return {"by": call.caller.username, "operation": call.operation.id}


def _shown(status: int, record: Record) -> Answer:
    return Answer(status, shown(record), etags.etag(record))


def _outcome(changes: Sequence[Change], came: Sequence[Record | ServiceError]) -> BatchOutcome:
    """Return each id in the list of what came of it.

    Raises:
        ServiceError: of some nothing can be said. With the same Idempotency-Key the call can be made again.
    """
    sorted_: dict[type, list[str]] = {kind: [] for kind in (Record, VersionConflict, RecordNotFound, NotInThisState)}
    for change, outcome in zip(changes, came, strict=True):
        if isinstance(outcome, ServiceError) and type(outcome) not in sorted_:
            raise outcome
        sorted_[type(outcome)].append(change.id)
    updated, conflicts, missing, invalid = sorted_.values()
    return BatchOutcome(updated=updated, conflicts=conflicts, missing=missing, invalid=invalid)
