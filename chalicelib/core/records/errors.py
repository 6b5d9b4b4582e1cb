"""The reasons for which a record is not written. A conflict carries the current state of the record."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from chalicelib.core.errors import Conflict, NotFound, ServiceError, TooLarge
from chalicelib.core.records.models import Record


class RecordNotFound(NotFound):
    """There is no such record, or the record was deleted."""

    code = "record-not-found"


class _Refused(Conflict):
    """Root of the refusals that another state of the record causes."""

    def __init__(self, current: Record, detail: str = "") -> None:
        super().__init__(detail)
        self.current = current

    def members(self) -> Mapping[str, Any]:
        """Return the current version and the user who last updated the record."""
        return {"currentVersion": self.current.version, "updatedBy": self.current.updated_by}


class VersionConflict(_Refused):
    """Another change came first. Read the current version, and send your change again if it still applies."""

    code = "version-conflict"


class RecordExists(_Refused):
    """This id is taken. Choose another id, or change the record that has the id."""

    code = "record-exists"


class NotInThisState(_Refused):
    """The record has the expected version, and its state does not allow this change."""

    code = "wrong-state"


class RecordTooLarge(TooLarge):
    """A record's document holds 350 KB at most."""

    code = "record-too-large"


class VersionRequired(ServiceError):
    """Name the version to change: `version`, or the If-Match header with the ETag."""

    status = HTTPStatus.PRECONDITION_REQUIRED
    code = "version-required"
