"""Identifiers: sortable by time, opaque to callers."""

import secrets
from datetime import datetime

from ulid import ULID

#: Names this process. A Lambda instance keeps the id while it is warm.
INSTANCE_ID = secrets.token_hex(6)


def new_id() -> str:
    """Return a ULID: 26 characters; ids sort by the millisecond of their creation."""
    return str(ULID())


def made_at(id_: str) -> datetime:
    """Return the creation time of an id of `new_id`, by the clock of the creating process."""
    return ULID.from_str(id_).datetime
