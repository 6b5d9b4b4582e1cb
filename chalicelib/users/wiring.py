"""Makes the store of users, once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients

if TYPE_CHECKING:
    from chalicelib.users.store import UserStore


@once
def store() -> UserStore:
    """Return the store of users."""
    from chalicelib.users.store import UserStore

    return UserStore(clients.table("users"))
