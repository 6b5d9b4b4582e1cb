from typing import Any

from chalicelib.core.web.roles import Role
from chalicelib.users import passwords
from chalicelib.users.store import UserStore
from infra.deployment.first_admin import ensure_admin
from tests.support.concurrency import race
from tests.unit.conftest import STAGE


def password_is(users: UserStore, password: str) -> bool:
    found = users.credentials("admin")
    assert found is not None
    return passwords.matches(password, found.password_hash)


def test_the_first_administrators_password_is_returned_once(dynamodb: Any, users: UserStore) -> None:
    # When
    returned = [ensure_admin(dynamodb, STAGE, {}) for _ in range(2)]
    # Then
    invented, again = returned
    assert again is None
    assert invented is not None
    assert len(invented) >= 16
    assert password_is(users, invented)
    admin = users.find("admin")
    assert admin is not None
    assert admin.roles == frozenset({Role.ADMIN})


def test_a_given_password_is_used_and_not_returned(dynamodb: Any, users: UserStore) -> None:
    assert ensure_admin(dynamodb, STAGE, {"HOLDFAST_ADMIN_PASSWORD": "correct horse"}) is None
    assert password_is(users, "correct horse")


def test_a_given_password_replaces_the_old_and_revokes_sessions(dynamodb: Any, users: UserStore) -> None:
    ensure_admin(dynamodb, STAGE, {})
    assert ensure_admin(dynamodb, STAGE, {"HOLDFAST_ADMIN_PASSWORD": "correct horse"}) is None
    assert password_is(users, "correct horse")
    assert [pending.username for pending in users.pending_revocations()] == ["admin"]


def test_the_same_password_again_changes_nothing(dynamodb: Any, users: UserStore) -> None:
    given = {"HOLDFAST_ADMIN_PASSWORD": "correct horse"}
    ensure_admin(dynamodb, STAGE, given)
    before = users.find("admin")
    ensure_admin(dynamodb, STAGE, given)
    assert users.find("admin") == before
    assert users.pending_revocations() == []


def test_racing_first_starts_make_one_administrator(dynamodb: Any, users: UserStore) -> None:
    returned = race([lambda: ensure_admin(dynamodb, STAGE, {})] * 8)
    (invented,) = [password for password in returned if isinstance(password, str)]
    assert password_is(users, invented)
