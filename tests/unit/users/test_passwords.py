import time

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from chalicelib import users as users_slice
from chalicelib.core.web.roles import Role
from chalicelib.users import passwords
from chalicelib.users.store import UserStore


def test_a_password_matches_its_own_hash_and_no_other() -> None:
    first, second = passwords.hashed("correct horse"), passwords.hashed("correct horse")
    assert first != second
    assert passwords.matches("correct horse", first)
    assert passwords.matches("correct horse", second)
    assert not passwords.matches("Correct horse", first)


@pytest.mark.parametrize("password", ["", "\x00", "é" * 64, "a\x00b", "x" * 256])
def test_any_text_can_be_a_password(password: str) -> None:
    assert passwords.matches(password, passwords.hashed(password))
    assert not passwords.matches(password + " ", passwords.hashed(password))


@pytest.mark.parametrize(
    "broken", ["", "plain", "$argon2id$v=19$m=19456,t=2,p=1$short", "$2b$12$abcdefghijklmnopqrstuv"]
)
def test_a_malformed_hash_matches_no_password(broken: str) -> None:
    assert not passwords.matches("correct horse", broken)


def test_hashes_use_owasps_argon2id_parameters() -> None:
    found = extract_parameters(passwords.hashed("correct horse"))
    assert (found.type, found.memory_cost, found.time_cost, found.parallelism) == (Type.ID, 19_456, 2, 1)


def test_an_unknown_user_costs_the_same_hash_as_a_known_user(users: UserStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The response time must not reveal whether a user exists."""
    # Given
    verified = []
    verify = PasswordHasher.verify

    def watched(hasher: PasswordHasher, against: str | bytes, password: str | bytes) -> bool:
        verified.append(extract_parameters(str(against)))
        return verify(hasher, against, password)

    monkeypatch.setattr(PasswordHasher, "verify", watched)
    users.add("ann", passwords.hashed("correct horse"), [Role.USER])
    # When
    answers = [users_slice.check(name, "wrong") for name in ("ann", "nobody")]
    # Then
    assert answers == [None, None]
    assert len(verified) == 2
    assert verified[0] == verified[1]


def test_the_hash_for_unknown_users_takes_real_work() -> None:
    """A malformed hash would be refused at once, and the response time would reveal unknown users."""
    began = time.process_time()
    assert not passwords.matches("anything", None)
    assert time.process_time() - began > 0.005


def test_no_password_matches_a_missing_hash() -> None:
    for guess in ("", "password", "holdfast", "nobody", "None", "admin"):
        assert not passwords.matches(guess, None)
