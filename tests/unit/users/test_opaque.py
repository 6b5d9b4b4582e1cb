"""Passwords in one form (RFC 8265, OpaqueString), and hashes that earlier versions made of the text as typed."""

import subprocess
import sys
from typing import Any

import pytest
from argon2 import PasswordHasher
from pymongo.database import Database

from chalicelib import users as users_slice
from chalicelib.core.web.roles import Role
from chalicelib.users import passwords
from chalicelib.users.opaque import prepared
from chalicelib.users.store import UserStore
from tests.support.gateway import ask
from tests.support.users import signed_in

Mongo = Database[dict[str, Any]]

COMPOSED, DECOMPOSED = "caf\u00e9 au lait", "cafe\u0301 au lait"
REFUSED = "must be without control characters, invisible characters and characters that Unicode has not assigned"


@pytest.fixture
def admin(users: UserStore, mongodb: Mongo) -> str:
    return signed_in("admin-1", Role.ADMIN)


def as_typed(password: str) -> str:
    """Return the hash that earlier versions made."""
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(password)


@pytest.mark.parametrize(
    ("typed", "form"),
    [
        ("correct horse ~!", "correct horse ~!"),
        ("", ""),
        (DECOMPOSED, COMPOSED),
        ("a\u00a0b\u3000c", "a b c"),
        # No width and no case is mapped: these are other passwords (RFC 8265, section 4.3).
        ("\uff21\uff22", "\uff21\uff22"),
        ("\u03a0\u03b1\u03a3\u03c2", "\u03a0\u03b1\u03a3\u03c2"),
        ("correct \U0001f40e", "correct \U0001f40e"),
    ],
)
def test_a_password_has_one_form(typed: str, form: str) -> None:
    assert prepared(typed) == form
    assert prepared(form) == form


@pytest.mark.parametrize("refused", ["a\x00b", "a\tb", "\x7f", "a\u0085", "a\u200bb", "\u0378", "\ufdd0", "a\u200db"])
def test_a_password_with_other_characters_is_refused(refused: str) -> None:
    with pytest.raises(ValueError, match="without control characters") as caught:
        prepared(refused)
    assert refused not in str(caught.value)


def test_an_ascii_password_imports_no_tables() -> None:
    code = (
        "import sys; from chalicelib.users import opaque; opaque.prepared('a b~'); print('precis_i18n' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("password", ["caf\u00e9 \t lait", "secret\u0378 word"])
def test_a_new_password_that_cannot_be_prepared_is_422(admin: str, password: str) -> None:
    for method, path, body in (
        ("POST", "/api/users", {"username": "ann", "password": password, "roles": ["user"]}),
        ("PATCH", "/api/users/admin-1", {"password": password}),
    ):
        answer = ask(method, path, body, token=admin)
        assert (answer.status, answer.json["errors"]) == (422, [{"path": "password", "message": REFUSED}])


def test_a_password_has_eight_characters_once_composed(admin: str) -> None:
    body = {"username": "ann", "password": "e\u0301" * 7, "roles": ["user"]}
    answer = ask("POST", "/api/users", body, token=admin)
    assert answer.json["errors"] == [{"path": "password", "message": "must have at least 8 characters"}]
    assert ask("POST", "/api/users", body | {"password": "e\u0301" * 8}, token=admin).status == 201


def test_a_password_typed_on_another_keyboard_signs_in(users: UserStore) -> None:
    users.add("ann", passwords.hashed(DECOMPOSED), [Role.USER])
    assert users_slice.check("ann", COMPOSED)
    assert users_slice.check("ann", DECOMPOSED)
    assert not users_slice.check("ann", COMPOSED.replace("\u00e9", "e"))


def test_a_hash_of_an_earlier_version_signs_in_and_is_replaced(users: UserStore) -> None:
    user = users.add("ann", as_typed(DECOMPOSED), [Role.USER])
    assert not users_slice.check("ann", COMPOSED)
    assert users_slice.check("ann", DECOMPOSED) == user
    assert users_slice.check("ann", COMPOSED) == user
    found = users.credentials("ann")
    assert found
    assert passwords.match(DECOMPOSED, found.password_hash) is passwords.Match.YES
    # The credentials version is the same, and nothing is revoked: the user's sessions stay.
    assert found.user == user
    assert users.pending_revocations() == []


@pytest.mark.parametrize("typed", ["a\x00bcdefgh", "caf\u00e9 \t lait"])
def test_a_refused_password_of_an_earlier_version_still_signs_in(users: UserStore, typed: str) -> None:
    users.add("ann", as_typed(typed), [Role.USER])
    assert users_slice.check("ann", typed)


def test_a_hash_that_has_changed_meanwhile_is_not_replaced(users: UserStore) -> None:
    users.add("ann", passwords.hashed("another one"), [Role.USER])
    users.rehash("ann", "an earlier hash", passwords.hashed("correct horse"))
    users.rehash("nobody", "an earlier hash", passwords.hashed("correct horse"))
    assert users_slice.check("ann", "another one")
    assert users_slice.current("nobody") is None


def test_an_unknown_user_costs_as_many_hashes_in_both_forms(users: UserStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The response time must not reveal whether a user exists."""
    users.add("ann", passwords.hashed("correct horse"), [Role.USER])
    verified: list[str] = []
    verify = PasswordHasher.verify

    def watched(hasher: PasswordHasher, against: str | bytes, password: str | bytes) -> bool:
        verified.append(str(password))
        return verify(hasher, against, password)

    monkeypatch.setattr(PasswordHasher, "verify", watched)
    for name in ("ann", "nobody"):
        assert users_slice.check(name, DECOMPOSED) is None
    assert verified == [COMPOSED, DECOMPOSED] * 2
