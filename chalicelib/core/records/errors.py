"""Why a record was not written, each with the state that stood in the way."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from chalicelib.core.errors import Conflict, NotFound, ServiceError, TooLarge
from chalicelib.core.records.models import Record


class RecordNotFound(NotFound):
    """There is no such record, or it was deleted."""


class _Refused(Conflict):
    """Root of what another state of the record refuses."""

    def __init__(self, current: Record, detail: str = "") -> None:
        super().__init__(detail)
        self.current = current

    def members(self) -> Mapping[str, Any]:
        """Say what the caller would have had to know."""
        return {"currentVersion": self.current.version, "updatedBy": self.current.updated_by}


class VersionConflict(_Refused):
    """Someone else changed this record first."""


class RecordExists(_Refused):
    """There is a record with this id already."""


class NotInThisState(_Refused):
    """The record has the expected version, and a state in which this cannot be done."""


class RecordTooLarge(TooLarge):
    """A record's document holds 350 KB at most."""


class VersionRequired(ServiceError):
    """Say which version this changes: `version`, or the If-Match header with the ETag."""

    status = HTTPStatus.PRECONDITION_REQUIRED
