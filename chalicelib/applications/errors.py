"""What can go wrong with applications, in words a caller understands."""

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
    """Others are disbursing just now; nothing was paid by this call."""
