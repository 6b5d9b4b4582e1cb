"""Tokens of every role, and no applications."""

from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.web.roles import Role
from chalicelib.users.store import UserStore
from tests.support.users import signed_in


@pytest.fixture
def office(users: UserStore, mongodb: Database[dict[str, Any]]) -> dict[str, str]:
    """A token of each role."""
    return {role.value: signed_in(f"{role.value}-1", role) for role in Role}


@pytest.fixture
def officer(office: dict[str, str]) -> str:
    return office["officer"]


@pytest.fixture
def admin(office: dict[str, str]) -> str:
    return office["admin"]
