from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from chalicelib.core.models import Username
from chalicelib.core.runtime import accounts, ids
from chalicelib.core.web.roles import Caller, Role

USERNAME: TypeAdapter[str] = TypeAdapter(Username)


def test_a_caller_without_an_account_id_has_the_account_of_the_name() -> None:
    assert Caller("ann", frozenset({Role.USER})).account == accounts.named("ann")
    account_id = ids.new_id()
    assert Caller("ann", frozenset({Role.USER}), account_id=account_id).account == ("ann", account_id)


def test_secrets_of_an_account_of_an_earlier_version_derive_from_its_name() -> None:
    assert accounts.derivation(accounts.id_of_name("ann")) == "ann"


@given(st.text(alphabet="0123456789ABCDEFGHJKMNPQRSTVWXYZabcxyz.:_", min_size=1, max_size=26))
def test_no_name_derives_what_an_account_id_derives(name: str) -> None:
    try:
        username = USERNAME.validate_python(name)
    except ValidationError:
        return
    assert accounts.derivation(accounts.id_of_name(username)) != accounts.derivation(username.upper())
    assert accounts.id_of_name(username) != username.upper()
