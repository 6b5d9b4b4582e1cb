"""What an application is, and which moves its status may make (no I/O)."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, ValidationInfo, field_validator

from chalicelib.core.models import WHOLE, Instant, Model
from chalicelib.core.records import models as records
from chalicelib.core.records.models import Doc, FieldChange, Record, State
from chalicelib.core.web.models import Query


class Status(StrEnum):
    """Where an application stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    REVIEW = "review"
    APPROVED = "approved"
    REJECTED = "rejected"
    DISBURSED = "disbursed"


#: Every move there is.
MOVES: Mapping[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset({Status.SUBMITTED}),
    Status.SUBMITTED: frozenset({Status.REVIEW, Status.APPROVED, Status.REJECTED}),
    Status.REVIEW: frozenset({Status.APPROVED, Status.REJECTED}),
    Status.APPROVED: frozenset({Status.DISBURSED}),
    Status.REJECTED: frozenset(),
    Status.DISBURSED: frozenset(),
}
#: Money moves with it, so only disbursing makes this move.
_BY_DISBURSING = Status.DISBURSED
#: Until somebody has decided, the terms may change; then they are what was decided on.
_UNDECIDED = frozenset({Status.DRAFT, Status.SUBMITTED, Status.REVIEW})
_TERMS = frozenset({"amountMinor", "currency", "termMonths"})

#: Applications that one call may move together.
BATCH = 500

ApplicationId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
# Written out, as dialects of regular expressions differ in what they take for a space.
Name = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*[^\x00-\x20][^\x00-\x1f]*$")]
#: An @ with something on both sides; whether mail arrives there only mail can tell.
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\x00-\x20]+@[^@\x00-\x20]+$")]
#: In the smallest unit of its currency; every JSON reader has whole numbers exact that far (RFC 8259, section 6).
Amount = Annotated[int, Field(ge=1, le=10**15), WHOLE]
#: ISO 4217 by its form: which codes are in use changes oftener than software does.
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Months = Annotated[int, Field(ge=1, le=1_200), WHOLE]
Income = Annotated[int, Field(ge=0, le=10**15), WHOLE]
Version = Annotated[int, Field(ge=1, le=10**15), WHOLE]


class NewApplication(Model):
    """An application to be made."""

    application_id: ApplicationId | None = Field(default=None, description="yours to choose; else one is made")
    applicant_name: Name
    email: Email
    amount_minor: Amount
    currency: Currency
    term_months: Months
    income_minor: Income | None = None
    status: Literal["draft", "submitted"] = "draft"

    @property
    def fields(self) -> Doc:
        """The document."""
        return self.model_dump(mode="json", exclude={"application_id"})


def _never_read() -> Any:
    """Stand in for a field that was not sent; of a change, only those that were are read."""


class ApplicationChange(Model):
    """Fields to be replaced; absent ones stay."""

    applicant_name: Name = Field(default_factory=_never_read)
    email: Email = Field(default_factory=_never_read)
    amount_minor: Amount = Field(default_factory=_never_read)
    currency: Currency = Field(default_factory=_never_read)
    term_months: Months = Field(default_factory=_never_read)
    income_minor: Income | None = Field(default_factory=_never_read)
    status: Status = Field(default_factory=_never_read)
    version: Version | None = Field(default=None, description="the version this changes; or the If-Match header")

    @property
    def fields(self) -> Doc:
        """What was sent, as it stands in the document."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"version"})


class VersionQuery(Query):
    """Which version is meant."""

    version: int | None = Field(default=None, ge=1, le=10**15, description="or the If-Match header")


class Application(Model):
    """An application as it may be shown."""

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
    """One application of a batch, at the version that is meant."""

    id: ApplicationId
    version: Version


class BatchUpdate(Model):
    """One move for many applications."""

    # What `_one_of_both` checks, for those who read the description.
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
        default=None, validate_default=True, description="instead of ids alone"
    )
    status: Literal["submitted", "review", "approved", "rejected"]

    @field_validator("items")
    @classmethod
    def _one_of_both(cls, value: list[Item] | None, info: ValidationInfo) -> list[Item] | None:
        if (value is None) == (info.data.get("application_ids") is None):
            raise ValueError("send either applicationIds or items")
        if value and len({item.id for item in value}) < len(value):
            raise ValueError("an id stands here twice")
        return value

    @property
    def wanted(self) -> dict[str, int | None]:
        """Every id once, with the version that is meant, None for whichever there is."""
        return {item.id: item.version for item in self.items or ()} | dict.fromkeys(self.application_ids or ())


class BatchOutcome(Model):
    """What became of each id of a batch: it stands in exactly one of these."""

    updated: list[str] = Field(default_factory=list, description="moved")
    conflicts: list[str] = Field(default_factory=list, description="at another version by now")
    missing: list[str] = Field(default_factory=list, description="there is none")
    invalid: list[str] = Field(default_factory=list, description="in a state from which this move cannot be made")


class ShownChange(Model):
    """A field that a version changed; null where there was none, or is none any more."""

    field: str
    before: JsonValue
    after: JsonValue


class ShownVersion(Model):
    """One version of an application: who made it, when, and what it changed.

    `lost` is one of which nothing is known but that it was.
    """

    version: int
    at: Instant
    by: str
    deleted: bool
    lost: bool
    changes: list[ShownChange]


def before(fields: Doc) -> list[State]:
    """Return the states in which an application may be given *fields*: one of them must be its own.

    What does not change is no move: a caller who sends the whole document back may.
    """
    status = Status(fields["status"]) if "status" in fields else None
    terms = {name: [fields[name]] for name in sorted(_TERMS & fields.keys())}
    allowed = sources(status) | {status} if status else set(Status)
    if not terms:
        return [{"status": sorted(allowed)}] if status else []
    return [
        {"status": sorted(some)} | fixed
        for some, fixed in ((allowed & _UNDECIDED, {}), (allowed - _UNDECIDED, terms))
        if some
    ]


def sources(status: Status) -> set[Status]:
    """Return from where an application may be moved to *status* by whoever may change it."""
    return {source for source, targets in MOVES.items() if status in targets and status is not _BY_DISBURSING}


def removable() -> list[State]:
    """Return the states in which an application may be deleted: once paid out, what was paid for stays."""
    return [{"status": sorted(set(Status) - {Status.DISBURSED})}]


def shown(record: Record) -> Application:
    """Return *record* as an application."""
    mark = {
        "application_id": record.id,
        "version": record.version,
        "created_at": record.created_at,
        "created_by": record.created_by,
        "updated_at": record.updated_at,
        "updated_by": record.updated_by,
    }
    return Application.model_validate({**record.doc, **mark}, strict=False)


def shown_version(version: records.Version, changes: Iterable[FieldChange]) -> ShownVersion:
    """Return *version* of an application's history, and what it changed."""
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
