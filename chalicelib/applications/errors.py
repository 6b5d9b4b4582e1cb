"""Errors of applications. Callers read the docstring of each class as the detail."""

from chalicelib.core.errors import Unavailable
from chalicelib.core.records.errors import (
    NotInThisState,
    RecordExists,
    RecordNotFound,
    VersionConflict,
    VersionRequired,
)

__all__ = [
    "Disbursing",
    "NotInThisState",
    "RecordExists",
    "RecordNotFound",
    "VersionConflict",
    "VersionRequired",
]


class Disbursing(Unavailable):
    """Other payments are in progress; this call paid nothing."""

    code = "other-payments"
