"""Identifiers: sortable by time, opaque to callers."""

import secrets
from datetime import datetime

from ulid import ULID

#: One per process: a Lambda worker keeps it for as long as it is warm.
INSTANCE_ID = secrets.token_hex(6)


def new_id() -> str:
    """Return a ULID: 26 characters that sort by the millisecond they were made in."""
    return str(ULID())


def made_at(id_: str) -> datetime:
    """Return the moment that an id of `new_id` carries, by the clock of the process that made it."""
    return ULID.from_str(id_).datetime
