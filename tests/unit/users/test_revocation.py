from typing import Any

import pytest

from chalicelib import slices
from chalicelib.approvals import wiring as approvals_wiring
from chalicelib.core.errors import Unavailable
from chalicelib.core.web.roles import Role
from chalicelib.sessions.store import SessionStore
from chalicelib.users import revocation
from chalicelib.users.models import User
from chalicelib.users.store import UserStore
from tests.support.gateway import Context


@pytest.fixture
def ann(users: UserStore) -> User:
    return users.add("ann", "a hash", [Role.USER])


def opened(sessions: SessionStore, user: User) -> str:
    return sessions.open(user.username, user.roles, user.epoch).token


def test_a_change_ends_older_sessions_and_keeps_newer_sessions(
    users: UserStore, sessions: SessionStore, ann: User
) -> None:
    # Given
    old, bobs = opened(sessions, ann), sessions.open("bob", [Role.USER], "e").token
    changed = users.change("ann", password_hash="new", roles=None)
    new = opened(sessions, changed)
    # When
    revocation.revoke(changed)
    # Then
    assert sessions.find(old) is None
    assert sessions.find(new) is not None
    assert sessions.find(bobs) is not None
    assert users.pending_revocations() == []


def test_the_sweep_revokes_sessions_after_an_interrupted_change(
    users: UserStore, sessions: SessionStore, ann: User
) -> None:
    # Given
    old = opened(sessions, ann)
    users.change("ann", password_hash="new", roles=None)
    # When
    swept = [revocation.sweep(), revocation.sweep()]
    # Then
    assert swept == [1, 0]
    assert sessions.find(old) is None
    assert users.pending_revocations() == []


def test_the_sweep_revokes_sessions_after_an_interrupted_removal(
    users: UserStore, sessions: SessionStore, ann: User
) -> None:
    # Given
    old = opened(sessions, ann)
    users.remove("ann")
    # When
    assert revocation.sweep() == 1
    # Then
    assert sessions.find(old) is None
    again = users.add("ann", "a hash", [Role.USER])
    assert again.epoch != ann.epoch


def test_a_failed_revocation_stays_pending_for_the_sweep(
    users: UserStore, sessions: SessionStore, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    old = opened(sessions, ann)
    changed = users.change("ann", password_hash="new", roles=None)

    def down(self: SessionStore, username: str, keep_epoch: str | None = None) -> int:
        raise Unavailable

    # When the sessions' store is down
    with monkeypatch.context() as patch:
        patch.setattr(SessionStore, "end_all", down)
        with pytest.raises(Unavailable):
            revocation.revoke(changed)
        with pytest.raises(Unavailable):
            revocation.sweep()
    # Then the next sweep succeeds
    assert sessions.find(old) is not None
    assert revocation.sweep() == 1
    assert sessions.find(old) is None


def test_an_older_revocation_leaves_a_newer_change_to_be_finished(
    users: UserStore, sessions: SessionStore, ann: User
) -> None:
    # Given
    older = users.change("ann", password_hash="new", roles=None)
    between = opened(sessions, older)
    users.change("ann", password_hash="newer", roles=None)
    # When
    revocation.revoke(older)
    # Then
    assert sessions.find(between) is not None
    assert revocation.sweep() == 1
    assert sessions.find(between) is None


def test_a_failed_sweep_of_one_slice_does_not_stop_the_others(
    users: UserStore, sessions: SessionStore, ann: User, monkeypatch: pytest.MonkeyPatch, printed: Any
) -> None:
    # Given
    users.change("ann", password_hash="new", roles=None)

    def down() -> None:
        raise Unavailable

    monkeypatch.setattr(approvals_wiring, "store", down)
    # When
    slices.sweep(ScheduleEvent())
    # Then
    assert users.pending_revocations() == []
    # The sweep of messages reports in a line of its own.
    lines = [line for line in printed.lines() if line.get("kind") != "messages"]
    assert [line.get("action") for line in lines] == ["approvals_sweep_failed", None]
    assert (lines[1]["users"], lines[1]["sweepsFailed"]) == (1, 1)


class ScheduleEvent:
    """A schedule's event, as chalice hands it over."""

    event_id = "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa"
    context = Context()
