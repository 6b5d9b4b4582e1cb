"""Applications and their shapes in requests and answers, and the legal moves of their status (no I/O)."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, ValidationInfo, field_validator

from chalicelib.core.models import WHOLE, Form, Instant, Model
from chalicelib.core.records import models as records
from chalicelib.core.records.models import Doc, FieldChange, Record, State
from chalicelib.core.web.models import Query


class Status(StrEnum):
    """The status of an application."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    REVIEW = "review"
    APPROVED = "approved"
    REJECTED = "rejected"
    DISBURSED = "disbursed"


#: Every legal move of the status.
MOVES: Mapping[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset({Status.SUBMITTED}),
    Status.SUBMITTED: frozenset({Status.REVIEW, Status.APPROVED, Status.REJECTED}),
    Status.REVIEW: frozenset({Status.APPROVED, Status.REJECTED}),
    Status.APPROVED: frozenset({Status.DISBURSED}),
    Status.REJECTED: frozenset(),
    Status.DISBURSED: frozenset(),
}
#: Only disbursing makes this move, as money moves with the status.
_BY_DISBURSING = Status.DISBURSED
#: The terms may change until a decision. A decision is about fixed terms.
UNDECIDED = frozenset({Status.DRAFT, Status.SUBMITTED, Status.REVIEW})
TERMS = frozenset({"amountMinor", "currency", "termMonths"})

#: The moves that are events of their own.
_ANNOUNCED = frozenset({Status.SUBMITTED, Status.APPROVED, Status.REJECTED, Status.DISBURSED})

#: Applications that one call may move together.
BATCH = 500

ApplicationId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"),
    Form("must be 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or a digit"),
]
# Spaces are written as character codes, since dialects of regular expressions define spaces differently.
Name = Annotated[
    str,
    StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*[^\x00-\x20][^\x00-\x1f]*$"),
    Form("must be a name of 1 to 200 characters, without line breaks and other control characters"),
]
#: An @ with text on both sides; only sending mail can show whether the address exists.
Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[^@\x00-\x20]+@[^@\x00-\x20]+$"),
    Form("must be an e-mail address of at most 254 characters, such as ann@example.org"),
]
#: In the smallest unit of the currency. Every JSON reader reads whole numbers so large exactly (RFC 8259, section 6).
Amount = Annotated[int, Field(ge=1, le=10**15), WHOLE]
#: The form of ISO 4217 codes only: the list of codes changes oftener than software does.
Currency = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{3}$"), Form("must be three capital letters of ISO 4217, such as EUR")
]
Months = Annotated[int, Field(ge=1, le=1_200), WHOLE]
Income = Annotated[int, Field(ge=0, le=10**15), WHOLE]
Version = Annotated[int, Field(ge=1, le=10**15), WHOLE]


class NewApplication(Model):
    """Request to make an application."""

    application_id: ApplicationId | None = Field(default=None, description="an id of your choice; generated if absent")
    applicant_name: Name
    email: Email
    amount_minor: Amount
    currency: Currency
    term_months: Months
    income_minor: Income | None = None
    status: Literal["draft", "submitted"] = "draft"

    @property
    def fields(self) -> Doc:
        """The document to be stored."""
        return self.model_dump(mode="json", exclude={"application_id"})


def _absent() -> Any:
    """Return a placeholder for a field that was not sent. Only sent fields of a change are read."""


class ApplicationChange(Model):
    """Fields to be replaced; absent fields stay."""

    applicant_name: Name = Field(default_factory=_absent)
    email: Email = Field(default_factory=_absent)
    amount_minor: Amount = Field(default_factory=_absent)
    currency: Currency = Field(default_factory=_absent)
    term_months: Months = Field(default_factory=_absent)
    income_minor: Income | None = Field(default_factory=_absent)
    status: Status = Field(default_factory=_absent)
    version: Version | None = Field(default=None, description="the version to be changed; or the If-Match header")

    @property
    def fields(self) -> Doc:
        """The sent fields, in the form of the document."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"version"})


class VersionQuery(Query):
    """The expected version."""

    version: int | None = Field(default=None, ge=1, le=10**15, description="or the If-Match header")


class Application(Model):
    """An application in answers."""

    application_id: str
    applicant_name: str
    email: str
    amount_minor: int
    currency: str
    term_months: int
    income_minor: int | None
    status: Status
    version: int
    created_at: Instant
    created_by: str
    updated_at: Instant
    updated_by: str


class Item(Model):
    """One application of a batch, at an expected version."""

    id: ApplicationId
    version: Version


class BatchUpdate(Model):
    """One move for many applications."""

    # The rule of `_either_ids_or_items`, for readers of the OpenAPI description.
    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["applicationIds"], "properties": {"applicationIds": {"type": "array"}}},
                {"required": ["items"], "properties": {"items": {"type": "array"}}},
            ]
        }
    )

    application_ids: Annotated[list[ApplicationId], Field(min_length=1, max_length=BATCH)] | None = None
    items: Annotated[list[Item], Field(min_length=1, max_length=BATCH)] | None = Field(
        default=None, validate_default=True, description="ids with versions, instead of `applicationIds`"
    )
    status: Literal["submitted", "review", "approved", "rejected"]

    @field_validator("items")
    @classmethod
    def _either_ids_or_items(cls, value: list[Item] | None, info: ValidationInfo) -> list[Item] | None:
        if (value is None) == (info.data.get("application_ids") is None):
            raise ValueError("send either applicationIds or items")
        if value and len({item.id for item in value}) < len(value):
            raise ValueError("an id is listed twice")
        return value

    @property
    def wanted(self) -> dict[str, int | None]:
        """Map each id to the expected version; None means any version."""
        return {item.id: item.version for item in self.items or ()} | dict.fromkeys(self.application_ids or ())


class BatchOutcome(Model):
    """The outcome of a batch: each id is in exactly one of the lists."""

    updated: list[str] = Field(default_factory=list, description="moved")
    conflicts: list[str] = Field(default_factory=list, description="no longer at the expected version")
    missing: list[str] = Field(default_factory=list, description="no such application")
    invalid: list[str] = Field(default_factory=list, description="in a status that does not allow the move")


class ShownChange(Model):
    """A field changed by a version; null where the field was absent before, or is absent after."""

    field: str
    before: JsonValue
    after: JsonValue


class ShownVersion(Model):
    """One version of an application: author, time and changes.

    If `lost` is true, only the existence of the version is known.
    """

    version: int
    at: Instant
    by: str
    deleted: bool
    lost: bool
    changes: list[ShownChange]


def before(fields: Doc) -> list[State]:
    """Return the states from which a change to *fields* is allowed; the current state must match one in the list.

    An unchanged status or term is always allowed, so a caller may send the whole document back.
    """
    status = Status(fields["status"]) if "status" in fields else None
    terms = {name: [fields[name]] for name in sorted(TERMS & fields.keys())}
    allowed = sources(status) | {status} if status else set(Status)
    if not terms:
        return [{"status": sorted(allowed)}] if status else []
    return [
        {"status": sorted(statuses)} | fixed
        for statuses, fixed in ((allowed & UNDECIDED, {}), (allowed - UNDECIDED, terms))
        if statuses
    ]


def sources(status: Status) -> set[Status]:
    """Return every status from which a change may move an application to *status*; empty for ``disbursed``."""
    return {source for source, targets in MOVES.items() if status in targets and status is not _BY_DISBURSING}


def removable() -> list[State]:
    """Return the states in which an application may be deleted: every status but ``disbursed``."""
    return [{"status": sorted(set(Status) - {Status.DISBURSED})}]


def moves(doc: Doc, before: Doc | None) -> list[str]:
    """Return the status to which a version has moved the application, if subscribers may follow the status."""
    moved = before is None or before.get("status") != doc["status"]
    return [doc["status"]] if moved and doc["status"] in _ANNOUNCED else []


def shown(record: Record) -> Application:
    """Return *record* as an application in answers."""
    metadata = {
        "application_id": record.id,
        "version": record.version,
        "created_at": record.created_at,
        "created_by": record.created_by,
        "updated_at": record.updated_at,
        "updated_by": record.updated_by,
    }
    return Application.model_validate({**record.doc, **metadata}, strict=False)


def shown_version(version: records.Version, changes: Iterable[FieldChange]) -> ShownVersion:
    """Return *version* of an application's history with its *changes*."""
    return ShownVersion.model_validate(
        {
            "version": version.version,
            "at": version.at,
            "by": version.by,
            "deleted": version.deleted,
            "lost": version.lost,
            "changes": [change._asdict() for change in changes],
        },
        strict=False,
    )
