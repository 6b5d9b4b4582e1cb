"""A user's ``updatedAt`` never goes back, whatever the clock of the process that changes the user."""

from collections.abc import Callable

import pytest

from chalicelib.core.web.roles import Role
from chalicelib.users import enrolment as module
from chalicelib.users.models import User
from chalicelib.users.store import UserStore

EARLY, LATE = "2026-11-26T12:00:00.000+00:00", "2026-11-26T12:05:00.000+00:00"
CHANGES: dict[str, Callable[[UserStore], User]] = {
    "password": lambda users: users.change("ann", password_hash="new", roles=None),
    "role": lambda users: users.change("ann", password_hash=None, roles=[Role.OFFICER]),
    "administrator": lambda users: users.change("ann", password_hash=None, roles=[Role.ADMIN]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_change_by_a_clock_behind_has_the_time_of_the_change_before(
    users: UserStore, monkeypatch: pytest.MonkeyPatch, change: Callable[[UserStore], User]
) -> None:
    monkeypatch.setattr(module, "stamp", lambda: LATE)
    users.add("ann", "old", [Role.USER])
    monkeypatch.setattr(module, "stamp", lambda: EARLY)
    changed = change(users)
    assert (changed.created_at, changed.updated_at) == (LATE, LATE)
    assert users.find("ann") == changed
