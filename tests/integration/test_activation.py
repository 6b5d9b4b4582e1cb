"""Activations on the deployed stack, with the mail service of the endpoint."""

import re
import secrets
from collections.abc import Mapping
from itertools import chain
from typing import Any

import pytest
import requests
from pymongo.database import Database

from infra.local.stack import Stack
from tests.support.client import Client, json_of
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack
Mongo = Database[dict[str, Any]]


def mails(stack: Stack) -> Mapping[str, str]:
    """Return the mails that the endpoint has taken, by receiver, as text."""
    if stack.owns_endpoint:
        answer = requests.get(f"{stack.endpoint_url}/_ministack/ses/messages", timeout=10)
        taken = chain(*answer.json()["messages"].values())
        return {to: mail["BodyText"] for mail in taken for to in mail["To"]}
    # LocalStack's own address.
    taken = requests.get(f"{stack.endpoint_url}/_aws/ses", timeout=10).json()["messages"]
    return {to: mail["Body"]["text_part"] for mail in taken for to in mail["Destination"]["ToAddresses"]}


def completed(database: Mongo, session_id: str) -> dict[str, Any]:
    """Wait for the activation to complete; return its progress."""

    eventually(lambda: database.progress.find_one({"_id": session_id, "completed": True}), deadline_seconds=150)
    found = database.progress.find_one({"_id": session_id})
    assert found
    return found


def test_activated_people_set_a_password_and_sign_in(
    stack: Stack, person: NewPerson, database: Mongo, admin: Client
) -> None:
    # Given
    officer, mark = person("officer").client, secrets.token_hex(4)
    emails = [f"_o'brien-{mark}-{number}@example.org" for number in range(60)]
    leads = [{"email": email, "name": "Ann"} for email in [*emails, "nobody"]]
    # When
    accepted = json_of(officer.post("/activation", {"leads": leads}), 202)
    # Then
    assert accepted["total"] == 61
    progress = completed(database, accepted["sessionId"])
    reasons = set(database.leads.distinct("reason", {"session": accepted["sessionId"], "mail": "failed"}))
    assert not reasons
    counted = {name: progress[name] for name in ("activated", "skipped", "failed", "emailsSent", "emailsFailed")}
    assert counted == {"activated": 60, "skipped": 0, "failed": 1, "emailsSent": 60, "emailsFailed": 0}
    listed = json_of(officer.get(f"/activation/{accepted['sessionId']}/leads?outcome=failed"))["items"]
    assert [lead["email"] for lead in listed] == ["nobody"]
    # And the link of a mail sets the password
    (token,) = set(re.findall(r"set-password/(hfp_[\w.-]+\.[\w-]{43})", mails(stack)[emails[7]]))
    anybody = Client(officer.url)
    assert anybody.post("/api/password", {"token": token, "password": "correct horse"}).status_code == 204
    assert anybody.post("/api/password", {"token": token, "password": "correct horse"}).status_code == 410
    signed_in = anybody.signed_in(emails[7], "correct horse")
    assert json_of(signed_in.get("/api/sessions/current"))["roles"] == ["user"]
    # And nobody is activated twice
    again = json_of(admin.post("/activation", {"leads": leads[:3]}), 202)
    assert completed(database, again["sessionId"])["skipped"] == 3


def test_a_cancelled_activation_completes(person: NewPerson, database: Mongo) -> None:
    officer, mark = person("officer").client, secrets.token_hex(4)
    leads = [{"email": f"late-{mark}-{number}@example.org"} for number in range(2_000)]
    session_id = json_of(officer.post("/activation", {"leads": leads, "sessionId": f"late-{mark}"}), 202)["sessionId"]
    json_of(officer.post(f"/activation/{session_id}/pause"))
    json_of(officer.post(f"/activation/{session_id}/cancel"))
    progress = completed(database, session_id)
    assert progress["activated"] == progress["emailsSent"] + progress["emailsFailed"] < 2_000
    assert database.leads.count_documents({"session": session_id, "outcome": "activated"}) == progress["activated"]
