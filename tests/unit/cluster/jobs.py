"""Calls whose answers are the examples of jobs: progress, activations, and the password of a mailed link."""

from collections.abc import Callable

from chalicelib import users
from chalicelib.activation import work
from chalicelib.core.web.roles import Role
from tests.support.gateway import Answer
from tests.support.users import signed_in

SETTINGS = {"MAIL_SENDER": "Holdfast <welcome@example.org>", "PUBLIC_URL": "https://holdfast.example.org/"}


def tell_jobs(call: Callable[..., Answer]) -> None:
    """Make each call once. No figure of an answer depends on the time."""
    importer, officer = signed_in("importer", Role.SERVICE), signed_in("olga", Role.OFFICER)
    call(importer, "PUT", "/api/progress/import-7", {"type": "import", "total": 250, "msg": "Reading rows."})
    call(importer, "GET", "/activation/progress/import-7")
    call(importer, "GET", "/activation/progress", limit="1")
    spring = {"sessionId": "spring", "leads": [{"email": "ada@example.org", "name": "Ada"}, {"email": "nobody"}]}
    call(officer, "POST", "/activation", spring)
    call(officer, "POST", "/activation/spring/pause")
    call(officer, "POST", "/activation/spring/resume")
    work.turn()
    call(officer, "GET", "/activation/spring/leads", outcome="failed")
    call(officer, "POST", "/activation/spring/retry-failed")
    call(officer, "POST", "/activation", {"sessionId": "autumn", "leads": [{"email": "eve@example.org"}]})
    call(officer, "POST", "/activation/autumn/cancel")
    call(None, "POST", "/api/password", {"token": _token("ada@example.org"), "password": "correct horse battery"})


def _token(username: str) -> str:
    """Return the token of a new link."""
    made = users.wiring.store().find(username)
    token = users.offer_password(username, made.account_id) if made else None
    assert token
    return token
