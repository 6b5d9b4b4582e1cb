"""Tokens and tickets of one deployment are worth nothing to another, even in the same database."""

from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import sessions
from chalicelib.core.errors import Unauthenticated
from chalicelib.core.stores import clients
from chalicelib.core.web.roles import Role
from chalicelib.sessions import wiring
from chalicelib.sessions.models import NewTicket
from tests.unit.conftest import forget


def become(monkeypatch: pytest.MonkeyPatch, signing_key: str) -> None:
    """Let this process be a function of the deployment that has *signing_key*."""
    clients.mongodb().client.close()
    monkeypatch.setenv("HOLDFAST_SIGNING_KEY", signing_key)
    forget()


@pytest.fixture(autouse=True)
def _restored() -> Any:
    yield
    clients.mongodb().client.close()
    forget()


def test_token_and_ticket_of_another_deployment_are_refused(
    mongodb: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a session and a ticket of the first of two deployments on one database
    become(monkeypatch, "the key of the first deployment")
    opening = wiring.store().open("admin", [Role.ADMIN], "first")
    ticket, again = (wiring.tickets().issue(opening.session.session_id, NewTicket()).ticket for _ in range(2))
    # When both are shown to the second deployment, with the hash as stored too
    become(monkeypatch, "the key of the second deployment")
    stored = clients.mongodb().sessions.find_one({"username": "admin"}) or {}
    for token in (opening.token, str(stored["_id"])):
        with pytest.raises(Unauthenticated):
            sessions.identify(token)
    with pytest.raises(Unauthenticated):
        sessions.redeem(ticket, "/")
    # Then both are still valid at the first
    become(monkeypatch, "the key of the first deployment")
    assert sessions.identify(opening.token).username == "admin"
    assert sessions.redeem(again, "/").username == "admin"
