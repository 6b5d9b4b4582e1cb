"""Makes the stores of users and of their links, each once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients
from chalicelib.users.settings import PasswordLinkSettings

if TYPE_CHECKING:
    from chalicelib.users.enrolment import Enrolment
    from chalicelib.users.links import PasswordLinks
    from chalicelib.users.store import UserStore


@once
def store() -> UserStore:
    """Return the store of users."""
    from chalicelib.users.store import UserStore

    return UserStore(clients.table("users"))


def options() -> PasswordLinkSettings:
    """Return the options of links that set a password."""
    return settings.load(PasswordLinkSettings)


@once
def links() -> PasswordLinks:
    """Return the links that set a password, by DynamoDB's clock."""
    from chalicelib.users.links import PasswordLinks

    return PasswordLinks(clients.table("users"), options().hours, now=clients.dynamodb_clock().now)


@once
def enrolment() -> Enrolment:
    """Return the maker of many users at once."""
    from chalicelib.users.enrolment import Enrolment

    return Enrolment(clients.table("users"))
