"""Activation over HTTP: begins at once, lists leads, tries failed ones again, and belongs to an officer."""

import json
from typing import Any

import pytest

from chalicelib import progress
from chalicelib.activation import begin, post, work
from chalicelib.core.web.roles import Role
from tests.support.gateway import ask
from tests.support.ses import MailServer
from tests.support.users import signed_in
from tests.unit.activation.conftest import Steps


@pytest.fixture
def officer(steps: Steps) -> str:
    return signed_in("officer", Role.OFFICER)


def body(*emails: str, **more: Any) -> dict[str, Any]:
    return {"leads": [{"email": email, "name": "Ann", "company": "ignored"} for email in emails], **more}


def test_an_activation_is_accepted_before_the_work(officer: str) -> None:
    answer = ask("POST", "/activation", body("a@example.org", "A@example.org", sessionId="spring"), token=officer)
    assert (answer.status, answer.json) == (202, {"sessionId": "spring", "total": 1})
    assert progress.get("spring").total == 1
    assert ask("GET", "/activation/spring/leads", token=officer).json == {"items": [], "nextCursor": None}


def test_ten_thousand_leads_are_accepted(officer: str) -> None:
    leads = [{"email": f"person-{number}@example.org", "name": "x" * 200} for number in range(10_000)]
    text = json.dumps({"leads": leads})
    assert 1_000_000 < len(text) < 5_000_000
    answer = ask("POST", "/activation", text=text, token=officer)
    assert (answer.status, answer.json["total"]) == (202, 10_000)
    too_many = json.dumps({"leads": [*leads, {"email": "b@example.org"}]})
    assert ask("POST", "/activation", text=too_many, token=officer).status == 422
    too_long = json.dumps({"leads": [{"email": "a@example.org", "more": "x" * 5_000_000}]})
    assert ask("POST", "/activation", text=too_long, token=officer).status == 413
    other = json.dumps({"to": "officer", "chatId": "c", "message": "x" * 1_000_001})
    assert ask("POST", "/api/messages", text=other, token=officer).status == 413


def test_a_session_id_in_use_is_refused(officer: str) -> None:
    assert ask("POST", "/activation", body("a@example.org", sessionId="spring"), token=officer).status == 202
    again = ask("POST", "/activation", body("b@example.org", sessionId="spring"), token=officer)
    assert (again.status, again.json["code"]) == (409, "progress-exists")


def test_a_session_id_stays_taken_as_long_as_its_leads(officer: str, mongodb: Any) -> None:
    ask("POST", "/activation", body("a@example.org", sessionId="spring"), token=officer)
    mongodb.progress.delete_many({})
    assert ask("POST", "/activation", body("b@example.org", sessionId="spring"), token=officer).status == 409


@pytest.mark.parametrize("session_id", ["..", "a/b", "", "x" * 129])
def test_a_session_id_that_is_no_path_is_refused(officer: str, session_id: str) -> None:
    assert ask("POST", "/activation", body("a@example.org", sessionId=session_id), token=officer).status == 422


def test_a_retried_call_makes_one_activation(officer: str, mongodb: Any) -> None:
    headers = {"Idempotency-Key": "spring-import"}
    answers = [ask("POST", "/activation", body("a@example.org"), token=officer, headers=headers).json for _ in range(2)]
    assert answers[0] == answers[1]
    assert mongodb.activations.count_documents({}) == 1


def test_without_mail_no_activation_begins(officer: str, options: Any) -> None:
    options(PUBLIC_URL="", MAIL_SENDER="")
    answer = ask("POST", "/activation", body("a@example.org"), token=officer)
    assert (answer.status, answer.json["code"]) == (409, "mail-not-set-up")


def test_leads_are_listed_by_outcome_in_pages(officer: str, steps: Steps) -> None:
    emails = ["a@example.org", "no address", "b@example.org", "also none", "c@example.org"]
    ask("POST", "/activation", body(*emails, sessionId="spring"), token=officer)
    steps.run()
    path, read, cursor = "/activation/spring/leads", [], ""
    while cursor is not None:
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = ask("GET", path, token=officer, query=query).json
        read += [lead["email"] for lead in page["items"]]
        cursor = page["nextCursor"]
    assert read == emails
    failed = ask("GET", path, token=officer, query={"outcome": "failed"}).json["items"]
    assert [lead["email"] for lead in failed] == ["no address", "also none"]
    assert failed[0]["reason"].startswith("address-invalid")
    assert (failed[0]["mail"], failed[0]["username"]) == (None, None)


def test_an_activation_belongs_to_its_officer(officer: str) -> None:
    ask("POST", "/activation", body("a@example.org", sessionId="spring"), token=officer)
    other, admin = signed_in("other", Role.OFFICER), signed_in("admin-1", Role.ADMIN)
    for method, path in (
        ("GET", "/activation/spring/leads"),
        ("POST", "/activation/spring/pause"),
        ("POST", "/activation/spring/resume"),
        ("POST", "/activation/spring/cancel"),
        ("POST", "/activation/spring/retry-failed"),
    ):
        assert ask(method, path, token=other).status == 403
        assert ask(method, path.replace("spring", "autumn"), token=other).status == 404
    assert ask("GET", "/activation/spring/leads", token=admin).status == 200
    assert ask("POST", "/activation", body("a@example.org"), token=signed_in("ann", Role.USER)).status == 403


def test_a_paused_activation_is_resumed(officer: str, steps: Steps) -> None:
    ask("POST", "/activation", body("a@example.org", sessionId="spring"), token=officer)
    paused = ask("POST", "/activation/spring/pause", token=officer)
    assert (paused.status, paused.json["completed"]) == (200, False)
    steps.run()
    assert steps.counts("spring") == {}
    assert ask("POST", "/activation/spring/resume", token=officer).status == 200
    steps.run()
    assert steps.counts("spring") == {"activated": 1, "emailsSent": 1, "completed": True}


def test_an_activation_that_is_over_stays_over(officer: str, steps: Steps) -> None:
    ask("POST", "/activation", body("a@example.org", sessionId="spring"), token=officer)
    assert ask("POST", "/activation/spring/cancel", token=officer).json["completed"]
    for step in ("pause", "resume", "cancel"):
        answer = ask("POST", f"/activation/spring/{step}", token=officer)
        assert (answer.status, answer.json["code"]) == (409, "activation-over")


def test_a_session_id_that_is_a_word_of_a_route_is_refused(officer: str, steps: Steps) -> None:
    answer = ask("POST", "/activation", body("a@example.org", sessionId="progress"), token=officer)
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "sessionId")


def test_failed_leads_are_tried_again_once(officer: str, steps: Steps, ses: MailServer) -> None:
    # Given a lead that failed, a mail that failed, and a lead that succeeded
    ses.fate = lambda to: "break" if to == "a@example.org" else "send"
    emails = ("a@example.org", "b@example.org", "no address")
    ask("POST", "/activation", body(*emails, sessionId="spring"), token=officer)
    steps.run()
    ses.fate = lambda _to: "send"
    # When
    answer = ask("POST", "/activation/spring/retry-failed", token=officer)
    assert (answer.status, answer.json["total"]) == (202, 2)
    steps.run()
    # Then
    again = answer.json["sessionId"]
    assert steps.counts(again) == {"activated": 1, "failed": 1, "emailsSent": 1, "completed": True}
    assert steps.leads(again)["a@example.org"] == ("activated", "sent", None)
    assert ses.asked == {"a@example.org": 2, "b@example.org": 1}
    second = ask("POST", "/activation/spring/retry-failed", token=officer)
    assert (second.status, second.json["code"]) == (409, "nothing-failed")


def test_a_retried_retry_makes_one_activation(officer: str, steps: Steps, mongodb: Any) -> None:
    ask("POST", "/activation", body("no address", sessionId="spring"), token=officer)
    steps.run()
    headers = {"Idempotency-Key": "again"}
    answers = [ask("POST", "/activation/spring/retry-failed", token=officer, headers=headers).json for _ in range(2)]
    assert answers[0] == answers[1]
    assert mongodb.activations.count_documents({}) == 2


def test_the_sweep_wakes_workers_of_what_waits(
    officer: str, steps: Steps, mail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a caller whose process died before it woke a worker
    from chalicelib.activation import queues, worker  # noqa: PLC0415

    monkeypatch.setattr(begin, "_wake", lambda *_: None)
    ask("POST", "/activation", body("a@example.org", sessionId="spring"), token=officer)
    assert mail.depth(queues.ACTIVATION).pending == 0
    assert worker.next_due()
    # When
    worker.sweep()
    # Then
    assert mail.depth(queues.ACTIVATION).pending > 0
    work.turn()
    worker.sweep()
    assert mail.depth(queues.MAIL).pending > 0
    post.turn()
    assert worker.next_due() is None
