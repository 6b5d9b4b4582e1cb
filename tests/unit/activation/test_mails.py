"""Mails: the mail service is asked at most once for each lead, whatever it answers and whoever dies."""

import json
import re
from time import monotonic
from typing import Any

import pytest

import app
from chalicelib import users as users_slice
from chalicelib.activation import mails, post, wiring, work
from chalicelib.activation.letter import render
from chalicelib.activation.models import Outcome, State
from chalicelib.activation.service import MailService
from chalicelib.core.errors import Unavailable
from chalicelib.core.stores import clients
from chalicelib.users.store import UserStore
from tests.support.concurrency import race
from tests.support.gateway import Context, ask
from tests.support.ses import MailServer
from tests.unit.activation.conftest import Steps

ANN = "ann@example.org"


def activated(steps: Steps, *emails: str) -> None:
    steps.begin(*(emails or (ANN,)))
    work.turn()


def test_a_mail_carries_a_link_that_sets_the_password(steps: Steps, ses: MailServer) -> None:
    activated(steps, "Ann@Example.org")
    post.turn()
    (mail,) = ses.taken
    assert mail.to == "Ann@Example.org"
    (token,) = re.findall(r"https://h\.example\.org/console/#/set-password/(\S+)", mail.text)
    assert f"/set-password/{token}" in mail.html
    assert ask("POST", "/api/password", {"token": token, "password": "correct horse"}).status == 204
    assert users_slice.check(ANN, "correct horse")


@pytest.mark.parametrize(
    ("fate", "counted", "reason"),
    [
        ("refuse", "emailsFailed", "refused: MessageRejected"),
        ("throttle", "emailsFailed", "refused: Throttling"),
        ("break", "emailsFailed", "uncertain"),
        ("lose", "emailsFailed", "uncertain"),
        ("vanish", "emailsFailed", "uncertain"),
        ("send", "emailsSent", None),
    ],
)
def test_every_answer_is_counted_and_never_asked_again(
    steps: Steps, ses: MailServer, fate: str, counted: str, reason: str | None
) -> None:
    ses.fate = lambda _to: fate
    activated(steps)
    steps.run()
    assert (ses.asked[ANN], steps.leads()[ANN][2]) == (1, reason)
    assert steps.counts() == {"activated": 1, counted: 1, "completed": True}
    post.turn()
    assert ses.asked[ANN] == 1


def test_a_mail_whose_worker_died_is_uncertain(steps: Steps, ses: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    activated(steps)
    letter = wiring.mails().next()
    assert letter
    assert wiring.mails().sweep() == 0
    monkeypatch.setattr(mails, "_LOST", {"$lt": ["$askedAt", {"$add": ["$$NOW", 1_000]}]})
    assert (wiring.mails().sweep(), wiring.mails().sweep()) == (1, 0)
    assert steps.leads()[ANN] == ("activated", "failed", "uncertain")
    assert steps.counts() == {"activated": 1, "emailsFailed": 1, "completed": True}
    # The worker was only slow: its mail was counted already.
    assert not wiring.mails().sent(letter, "mail-1")
    assert steps.counts() == {"activated": 1, "emailsFailed": 1, "completed": True}


def test_racing_workers_ask_once_for_each_mail(steps: Steps, ses: MailServer) -> None:
    activated(steps, *(f"a{place}@example.org" for place in range(20)))
    race([post.turn for _ in range(4)])
    steps.run()
    assert sorted(ses.asked.values()) == [1] * 20
    assert steps.counts() == {"activated": 20, "emailsSent": 20, "completed": True}


def test_a_service_that_cannot_be_reached_leaves_the_mail(
    steps: Steps, ses: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    activated(steps)
    with MailServer() as closed:
        unreachable = MailService(clients.aws("ses", closed.url, attempts=1), wiring.mail_options())
    with monkeypatch.context() as patch:
        patch.setattr(wiring, "service", lambda: unreachable)
        with pytest.raises(Unavailable):
            post.turn()
    assert steps.counts() == {"activated": 1, "emailsPending": 1}
    steps.run()
    assert steps.counts() == {"activated": 1, "emailsSent": 1, "completed": True}


def test_a_store_that_fails_before_the_request_leaves_the_mail(
    steps: Steps, ses: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    activated(steps)

    def down(*_: Any) -> str:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(users_slice, "offer_password", down)
        with pytest.raises(Unavailable):
            post.turn()
    steps.run()
    assert steps.counts() == {"activated": 1, "emailsSent": 1, "completed": True}


def test_a_user_deleted_before_the_mail_gets_none(steps: Steps, ses: MailServer, users: UserStore) -> None:
    activated(steps)
    users.remove(ANN)
    post.turn()
    assert (ses.asked[ANN], steps.leads()[ANN]) == (0, ("activated", "failed", "user-deleted"))


def test_a_paused_activation_sends_no_mail(steps: Steps, ses: MailServer) -> None:
    activated(steps)
    wiring.store().change("s-1", State.PAUSED)
    assert post.turn() == 0
    wiring.store().change("s-1", State.RUNNING)
    assert post.turn() == 1


def test_mails_share_a_rate(steps: Steps, ses: MailServer, options: Any) -> None:
    options(MAIL_SENDER="a@example.org", PUBLIC_URL="https://h.example.org", MAIL_PER_SECOND="5")
    activated(steps, *(f"a{place}@example.org" for place in range(12)))
    now = wiring.mails()
    assert now.has_mails()
    began = monotonic()
    steps.run()
    # Five mails at once, and seven more at five a second.
    assert monotonic() - began > 1.2
    assert len(ses.taken) == 12


def test_a_name_is_escaped_in_html_and_has_one_line(steps: Steps, ses: MailServer) -> None:
    mail = render(name="<b>Ann</b>\nBcc: x", username="a&b@example.org", link="https://h/#/x", hours=72)
    assert "<b>Ann" not in mail.html
    assert "&lt;b&gt;Ann&lt;/b&gt; Bcc: x" in mail.html
    assert "Hello <b>Ann</b> Bcc: x," in mail.text
    assert "a&amp;b@example.org" in mail.html


def test_no_log_record_has_a_token(steps: Steps, ses: MailServer, printed: Any) -> None:
    ses.fate = lambda _to: "break"
    activated(steps)
    steps.run()
    assert "mail_uncertain" in printed.getvalue()
    assert "hfp_" not in printed.getvalue()
    assert "set-password" not in json.dumps(list(wiring.ledger()._leads.find()), default=str)


def test_a_mail_that_came_back_changes_the_leads_outcome(steps: Steps, ses: MailServer) -> None:
    activated(steps, ANN, "ben@example.org")
    steps.run()
    by_address = {mail.to: mail.mail_id for mail in ses.taken}
    for _ in range(2):
        assert wiring.mails().returned(by_address[ANN], Outcome.BOUNCED, "bounced: Permanent General")
    assert not wiring.mails().returned("another mail", Outcome.BOUNCED, "bounced")
    assert steps.leads()[ANN] == ("bounced", "sent", "bounced: Permanent General")
    assert steps.counts() == {"activated": 2, "emailsSent": 2, "completed": True}


@pytest.mark.parametrize(
    ("kind", "told", "reason"),
    [
        ("Bounce", {"bounceType": "Permanent", "bounceSubType": "General"}, "bounced: Permanent General"),
        ("Complaint", {"complaintFeedbackType": "abuse"}, "complained: abuse"),
        ("Complaint", {}, "complained"),
    ],
)
def test_an_event_of_ses_changes_the_leads_outcome(
    steps: Steps, ses: MailServer, kind: str, told: dict[str, str], reason: str
) -> None:
    activated(steps)
    steps.run()
    detail = {"eventType": kind, kind.lower(): told, "mail": {"messageId": ses.taken[0].mail_id}}
    event = {"version": "0", "account": "1", "region": "r", "detail": detail, "detail-type": "Email"}
    event |= {"time": "2030-01-01T00:00:00Z", "id": "1", "resources": [], "source": "aws.ses"}
    app.returned(event, Context())
    assert steps.leads()[ANN] == (reason.partition(":")[0], "sent", reason)
