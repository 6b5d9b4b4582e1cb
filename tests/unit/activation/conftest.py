"""A mail server at the edge, and the steps of an activation as its workers take them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import progress
from chalicelib.activation import begin, post, wiring, work
from chalicelib.activation.models import Accepted, NewActivation
from chalicelib.activation.service import MailService
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores import clients
from chalicelib.users.store import UserStore
from tests.support.ses import MailServer

OWNER = Account("officer", "account-of-officer")


class Steps:
    """Begins activations and takes the turns of workers."""

    def __init__(self) -> None:
        self._operations = 0

    def begin(self, *emails: str, session_id: str = "s-1") -> Accepted:
        self._operations += 1
        leads = [{"email": email, "name": "Ann"} for email in emails]
        asked = NewActivation.model_validate({"sessionId": session_id, "leads": leads})
        return begin.begin(asked, OWNER, f"operation-{self._operations}")

    def run(self) -> None:
        """Take turns until nothing waits."""
        while work.turn() or post.turn():
            pass

    def counts(self, session_id: str = "s-1") -> dict[str, Any]:
        shown = progress.get(session_id).model_dump()
        names = ("activated", "skipped", "failed", "emailsSent", "emailsFailed", "emailsPending", "completed")
        return {name: shown[name] for name in names if shown[name]}

    def leads(self, session_id: str = "s-1") -> dict[str, tuple[str, str | None, str | None]]:
        """Return outcome, mail and reason of each settled lead by address."""
        return {
            lead.email: (lead.outcome, lead.mail, lead.reason)
            for lead in wiring.ledger().page(session_id, None, 200, None)
        }


@pytest.fixture
def ses(options: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """The mail service, and options with which mails can be sent."""
    options(MAIL_SENDER="Holdfast <welcome@example.org>", PUBLIC_URL="https://h.example.org/", MAIL_PER_SECOND="1000")
    with MailServer() as server:
        service = MailService(clients.aws("ses", server.url, attempts=1), wiring.mail_options())
        monkeypatch.setattr(wiring, "service", lambda: service)
        yield server


@pytest.fixture
def steps(users: UserStore, mongodb: Database[dict[str, Any]], mail: Sender, ses: MailServer) -> Steps:
    return Steps()
