"""Says which field or move the status of an application refuses, in the words of applications."""

from collections.abc import Iterator
from contextlib import contextmanager

from chalicelib.applications.errors import NotInThisState
from chalicelib.applications.models import TERMS, UNDECIDED, Status, sources
from chalicelib.core.records.models import Doc

_SUBJECTS = {
    Status.DRAFT: "A draft application",
    Status.SUBMITTED: "A submitted application",
    Status.REVIEW: "An application in review",
    Status.APPROVED: "An approved application",
    Status.REJECTED: "A rejected application",
    Status.DISBURSED: "A disbursed application",
}


def change_refused(doc: Doc, fields: Doc) -> str:
    """Return the reason why the application *doc* refuses a change to *fields*: the move, else the terms.

    Empty if the status refuses nothing.
    """
    status = Status(doc["status"])
    target = Status(fields.get("status", status))
    if target is not status and status not in sources(target):
        by = " by a change; POST …/disburse pays" if (status, target) == (Status.APPROVED, Status.DISBURSED) else ""
        return f"{_SUBJECTS[status]} cannot become {target}{by}."
    if status in UNDECIDED:
        return ""
    changed = [name for name in sorted(TERMS & fields.keys()) if doc[name] != fields[name]]
    return f"{_SUBJECTS[status]}'s {' and '.join(changed)} cannot change." if changed else ""


def deletion_refused(doc: Doc) -> str:
    """Return the reason why the application *doc* cannot be deleted."""
    return f"{_SUBJECTS[Status(doc['status'])]} cannot be deleted."


def payment_refused(doc: Doc) -> str:
    """Return the reason why the application *doc* cannot be disbursed."""
    return f"{_SUBJECTS[Status(doc['status'])]} cannot be disbursed; only an approved application can."


@contextmanager
def explained(fields: Doc | None = None) -> Iterator[None]:
    """Give a refusal by the application's status its reason: of a change to *fields*, or of a deletion.

    Raises:
        NotInThisState: the block raised the same, without the reason.
    """
    try:
        yield
    except NotInThisState as error:
        doc = error.current.doc
        reason = deletion_refused(doc) if fields is None else change_refused(doc, fields)
        raise NotInThisState(error.current, reason) from None
