from typing import Any

import pytest

from chalicelib.core.stores import clients
from chalicelib.core.web.roles import Role
from chalicelib.users import passwords
from chalicelib.users.store import UserStore
from infra.deployment.first_admin import ensure_admin
from infra.operations.failures import CommandFailed
from tests.support.concurrency import race
from tests.unit.conftest import STAGE


def password_is(users: UserStore, password: str) -> bool:
    found = users.credentials("admin")
    assert found is not None
    return passwords.matches(password, found.password_hash)


def test_the_first_administrators_password_is_returned_once(dynamodb: Any, users: UserStore) -> None:
    # When
    returned = [ensure_admin(dynamodb, STAGE, {}).password for _ in range(2)]
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
    assert ensure_admin(dynamodb, STAGE, {"HOLDFAST_ADMIN_PASSWORD": "correct horse"}).password is None
    assert password_is(users, "correct horse")


@pytest.mark.parametrize("password", ["abc", "x" * 257])
def test_password_that_the_api_would_refuse_changes_nothing(dynamodb: Any, users: UserStore, password: str) -> None:
    with pytest.raises(CommandFailed, match=f"HOLDFAST_ADMIN_PASSWORD has {len(password)} characters"):
        ensure_admin(dynamodb, STAGE, {"HOLDFAST_ADMIN_PASSWORD": password})
    assert users.find("admin") is None


def test_empty_password_counts_as_none_given(dynamodb: Any, users: UserStore) -> None:
    assert ensure_admin(dynamodb, STAGE, {"HOLDFAST_ADMIN_PASSWORD": ""}).password is not None
    assert ensure_admin(dynamodb, STAGE, {"HOLDFAST_ADMIN_PASSWORD": ""}).password is None


def test_a_given_password_replaces_the_old_and_revokes_sessions(dynamodb: Any, users: UserStore) -> None:
    ensure_admin(dynamodb, STAGE, {})
    assert ensure_admin(dynamodb, STAGE, {"HOLDFAST_ADMIN_PASSWORD": "correct horse"}).password is None
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
    returned = race([lambda: ensure_admin(dynamodb, STAGE, {}).password] * 8)
    (invented,) = [password for password in returned if isinstance(password, str)]
    assert password_is(users, invented)


def test_a_given_password_gives_the_role_back_and_says_so(dynamodb: Any, users: UserStore) -> None:
    # Given an administrator whom another one has made an ordinary user
    ensure_admin(dynamodb, STAGE, {})
    users.add("root", "a hash", [Role.ADMIN])
    users.change("admin", password_hash=None, roles=[Role.USER])
    # Then a start without a password respects that, and a start with one does not
    assert ensure_admin(dynamodb, STAGE, {}).state == "without the role admin"
    restored = ensure_admin(dynamodb, STAGE, {"HOLDFAST_ADMIN_PASSWORD": "correct horse"})
    assert restored.state == "with the role admin given back and the password changed to the given one"
    found = users.find("admin")
    assert found is not None
    assert found.roles == {Role.ADMIN, Role.USER}
    assert password_is(users, "correct horse")
    assert users.admins.names() == {"admin", "root"}


def test_a_stage_without_administrators_gets_one_back(dynamodb: Any, users: UserStore) -> None:
    # Given a stage of an earlier version, whose last administrator gave the role away
    ensure_admin(dynamodb, STAGE, {})
    table = clients.table("users")
    table.update("user#admin", "SET #roles = :roles", when="", values={":roles": ["user"]}, names={"#roles": "roles"})
    # When
    restored = ensure_admin(dynamodb, STAGE, {})
    # Then
    assert restored.state == "with the role admin given back"
    assert restored.password is not None
    assert password_is(users, restored.password)
    assert users.admins.names() == {"admin"}


def test_the_set_of_administrators_follows_the_users_of_an_earlier_version(dynamodb: Any, users: UserStore) -> None:
    # Given the users of a stage whose set was never made, and a set that has a name too many
    for name in ("ann", "bob"):
        users.add(name, "a hash", [Role.ADMIN])
    users.add("cem", "a hash", [Role.USER])
    clients.table("users").update(
        "admins",
        "SET #names = :names",
        when="",
        values={":names": frozenset({"cem", "dan"})},
        names={"#names": "names"},
    )
    # Then
    assert users.admins.seed() == users.admins.seed() == {"ann", "bob"}
