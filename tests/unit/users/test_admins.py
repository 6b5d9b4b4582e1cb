"""A stage always has an administrator, whoever demotes or deletes whom."""

from functools import partial
from typing import Any

import pytest

from chalicelib.core.stores import clients
from chalicelib.core.stores.dynamodb import Table
from chalicelib.core.web.roles import Role
from chalicelib.users.errors import LastAdmin, UsernameTaken
from chalicelib.users.models import User
from chalicelib.users.store import Revocation, UserStore
from tests.support.concurrency import race
from tests.support.gateway import ask
from tests.support.users import signed_in

ADMIN = [Role.ADMIN]


def demote(users: UserStore, username: str) -> User:
    return users.change(username, password_hash=None, roles=[Role.USER])


def admins(users: UserStore) -> set[str]:
    """Return who is an administrator, by the users' own items."""
    found = {name for name in ("ann", "ben", "cem") if (user := users.find(name)) and Role.ADMIN in user.roles}
    assert users.admins.names() == found
    return found


@pytest.mark.parametrize("leave", [demote, UserStore.remove])
def test_the_last_administrator_keeps_the_role(users: UserStore, leave: Any) -> None:
    users.add("ann", "a hash", ADMIN)
    users.add("cem", "a hash", [Role.USER])
    with pytest.raises(LastAdmin):
        leave(users, "ann")
    assert users.pending_revocations() == []
    # When there is another one
    users.change("cem", password_hash=None, roles=[Role.ADMIN, Role.USER])
    leave(users, "ann")
    assert admins(users) == {"cem"}
    with pytest.raises(LastAdmin):
        leave(users, "cem")


def test_other_changes_of_the_last_administrator_are_made(users: UserStore) -> None:
    users.add("ann", "a hash", ADMIN)
    users.change("ann", password_hash="new", roles=None)
    users.change("ann", password_hash="newer", roles=[Role.ADMIN, Role.OFFICER])
    assert admins(users) == {"ann"}


def test_a_refused_name_adds_no_administrator(users: UserStore) -> None:
    users.add("ann", "a hash", [Role.USER])
    with pytest.raises(UsernameTaken):
        users.add("ann", "another", ADMIN)
    assert admins(users) == set()


def test_the_same_operation_makes_one_administrator_with_one_account(users: UserStore) -> None:
    first = users.add("ann", "a hash", ADMIN, "operation")
    assert users.add("ann", "a hash", ADMIN, "operation") == first
    assert admins(users) == {"ann"}


def test_a_name_made_anew_is_another_account(users: UserStore) -> None:
    first = users.add("ann", "a hash", [Role.USER])
    gone = users.remove("ann")
    users.complete_revocation(Revocation("ann", gone.epoch, gone=True))
    again = users.add("ann", "a hash", [Role.USER])
    assert again.account_id != first.account_id
    assert users.accounts(["ann", "nobody"]) == {"ann": again.account_id}


def test_administrators_who_demote_each_other_at_once_leave_one(users: UserStore) -> None:
    for _ in range(50):
        for name in ("ann", "ben"):
            if users.find(name) is None:
                users.add(name, "a hash", ADMIN)
            else:
                users.change(name, password_hash=None, roles=ADMIN)
        results = race([partial(demote, users, "ben"), partial(demote, users, "ann")])
        assert sum(isinstance(result, LastAdmin) for result in results) == 1
        assert len(admins(users)) == 1


def test_a_stage_without_the_set_makes_it_at_the_first_demotion(users: UserStore) -> None:
    # Given the users of an earlier version
    for name in ("ann", "ben"):
        users.add(name, "a hash", ADMIN)
    clients.table("users").delete("admins", when="attribute_exists(pk)", values={})
    # Then
    demote(users, "ann")
    assert admins(users) == {"ben"}
    clients.table("users").delete("admins", when="attribute_exists(pk)", values={})
    with pytest.raises(LastAdmin):
        users.remove("ben")


def test_a_role_changed_in_between_is_not_lost(users: UserStore, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a user who becomes an administrator between our read and our write
    for name in ("ann", "ben"):
        users.add(name, "a hash", [Role.USER] if name == "ann" else ADMIN)
    read = Table.get

    def get(table: Table, pk: str) -> Any:
        found = read(table, pk)
        monkeypatch.setattr(Table, "get", read)
        users.change("ann", password_hash=None, roles=ADMIN)
        return found

    monkeypatch.setattr(Table, "get", get)
    # When
    users.remove("ann")
    # Then
    assert admins(users) == {"ben"}


@pytest.mark.usefixtures("mongodb")
def test_the_last_administrator_is_told_what_to_do(users: UserStore) -> None:
    token = signed_in("ann", Role.ADMIN)
    for answer in (
        ask("PATCH", "/api/users/ann", {"roles": ["user"]}, token=token),
        ask("DELETE", "/api/users/ann", token=token),
    ):
        assert answer.status == 409
        assert answer.json["detail"] == "This is the last administrator. Give another user the role admin first."
    assert ask("GET", "/api/users/ann", token=token).json["roles"] == ["admin"]
