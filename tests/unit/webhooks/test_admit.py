"""A receiver reads the statement of its webhook by a signature, and nobody else's."""

import secrets as randomness
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core.coordination.rates import Limit
from chalicelib.core.egress import signatures
from chalicelib.core.errors import PROBLEM
from chalicelib.core.web.roles import Role
from chalicelib.webhooks import admit, secrets, wiring
from tests.support.gateway import Answer, ask
from tests.support.users import signed_in
from tests.unit.webhooks.build import add_webhook, happening

MALFORMED = [
    {"webhook-signature": "v1,AAAA"},
    {"webhook-signature": "", "webhook-id": "a", "webhook-timestamp": "1"},
    {"webhook-signature": "v1,é", "webhook-id": "a.b", "webhook-timestamp": "soon"},
]


@pytest.fixture(autouse=True)
def _stores(users: Any, stores: Any) -> None:
    del users, stores


def path_of(webhook_id: str) -> str:
    return f"/api/webhooks/{webhook_id}/statement"


def signed(secret: str, text: str, at: datetime | None = None) -> dict[str, str]:
    return signatures.headers([secret], randomness.token_hex(8), at or datetime.now(UTC), text.encode())


def read(webhook_id: str, headers: Mapping[str, str], query: Mapping[str, str] | None = None) -> Answer:
    return ask("GET", path_of(webhook_id), headers=headers, query=query)


def refused(answer: Answer) -> bool:
    """Return whether *answer* refuses the signature."""
    if answer.status == 200:
        return False
    assert (answer.status, answer.json["code"]) == (401, "wrong-signature"), answer.text
    assert answer.headers["Content-Type"] == PROBLEM
    return True


def test_a_receiver_reads_its_statement_with_its_secret() -> None:
    webhook = add_webhook()
    wiring.deliveries().record(webhook.id, [happening(1), happening(2)])
    secret = secrets.secret_of(webhook.id, 1)
    answer = read(webhook.id, signed(secret, f"GET {path_of(webhook.id)}"))
    assert [each["sequence"] for each in answer.json["items"]] == [1, 2]
    # And a page of it: parameters are signed in the order of their names.
    text = f"GET {path_of(webhook.id)}?from=2&limit=1"
    answer = read(webhook.id, signed(secret, text), {"limit": "1", "from": "2"})
    assert [each["sequence"] for each in answer.json["items"]] == [2]


def test_a_secret_reads_no_other_statement() -> None:
    webhook, other = add_webhook(), add_webhook()
    secret = secrets.secret_of(webhook.id, 1)
    assert not refused(read(webhook.id, signed(secret, f"GET {path_of(webhook.id)}")))
    for text in (f"GET {path_of(webhook.id)}", f"GET {path_of(other.id)}"):
        assert refused(read(other.id, signed(secret, text)))


@pytest.mark.parametrize("text", ["POST {path}", "{path}", "GET /api/webhooks", "GET {path}?from=2", "", "{{}}"])
def test_a_signature_of_another_call_is_refused(text: str) -> None:
    webhook = add_webhook()
    secret = secrets.secret_of(webhook.id, 1)
    assert refused(read(webhook.id, signed(secret, text.format(path=path_of(webhook.id)))))


def test_a_changed_query_is_refused() -> None:
    webhook = add_webhook()
    headers = signed(secrets.secret_of(webhook.id, 1), f"GET {path_of(webhook.id)}?from=1")
    assert not refused(read(webhook.id, headers, {"from": "1"}))
    assert refused(read(webhook.id, headers, {"from": "2"}))
    assert refused(read(webhook.id, headers, {"from": "1", "limit": "2"}))
    assert refused(read(webhook.id, headers))


@pytest.mark.parametrize(("minutes", "late"), [(-6, True), (-4, False), (4, False), (6, True)])
def test_a_signature_holds_for_five_minutes(minutes: int, late: bool) -> None:
    webhook = add_webhook()
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    headers = signed(secrets.secret_of(webhook.id, 1), f"GET {path_of(webhook.id)}", at)
    assert refused(read(webhook.id, headers)) == late


def test_a_rotated_secret_signs_while_it_is_valid(options: Any) -> None:
    webhook = add_webhook()
    old, new = (secrets.secret_of(webhook.id, generation) for generation in (1, 2))
    wiring.store().rotate(webhook.id, by="ann", operation="r-1", now=datetime.now(UTC) - timedelta(hours=23))
    text = f"GET {path_of(webhook.id)}"
    assert not refused(read(webhook.id, signed(old, text)))
    assert not refused(read(webhook.id, signed(new, text)))
    options(WEBHOOKS_ROTATION_HOURS="22")
    assert refused(read(webhook.id, signed(old, text)))
    assert not refused(read(webhook.id, signed(new, text)))


@pytest.mark.parametrize("headers", MALFORMED)
def test_a_malformed_signature_is_refused(headers: dict[str, str]) -> None:
    assert refused(read(add_webhook().id, headers))


def test_an_unknown_webhook_answers_as_a_wrong_signature_does() -> None:
    unknown = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    for webhook_id in (unknown, "x" * 3_000):
        headers = signed(secrets.secret_of(unknown, 1), f"GET {path_of(webhook_id)}")
        assert refused(read(webhook_id, headers))


def test_a_disabled_webhook_still_shows_its_statement() -> None:
    webhook = add_webhook()
    wiring.store().disable(webhook.id, "for a test")
    headers = signed(secrets.secret_of(webhook.id, 1), f"GET {path_of(webhook.id)}")
    assert not refused(read(webhook.id, headers))


def test_a_signature_opens_no_other_route() -> None:
    webhook = add_webhook()
    secret = secrets.secret_of(webhook.id, 1)
    for path in (f"/api/webhooks/{webhook.id}", f"/api/webhooks/{webhook.id}/deliveries", "/api/deliveries"):
        answer = ask("GET", path, headers=signed(secret, f"GET {path}"))
        assert (answer.status, answer.json["code"]) == (401, "unauthenticated")


def test_a_token_counts_and_a_signature_beside_it_does_not() -> None:
    webhook = add_webhook()
    headers = signed(secrets.secret_of(webhook.id, 1), f"GET {path_of(webhook.id)}")
    token = signed_in("other", Role.USER)
    answer = ask("GET", path_of(webhook.id), token=token, headers=headers)
    assert (answer.status, answer.json["code"]) == (403, "forbidden")


def test_signed_calls_of_an_address_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = add_webhook()
    monkeypatch.setattr(admit, "_CALLS", Limit(tokens=3, period_ms=60_000))
    headers = signed(secrets.secret_of(webhook.id, 1), f"GET {path_of(webhook.id)}")
    answers = [read(webhook.id, headers if number else MALFORMED[0]) for number in range(4)]
    assert [answer.status for answer in answers] == [401, 200, 200, 429]
    assert 0 < int(answers[3].headers["Retry-After"]) <= 20
    # A session is not bounded by it.
    assert ask("GET", path_of(webhook.id), token=signed_in("admin-1", Role.ADMIN)).status == 200
