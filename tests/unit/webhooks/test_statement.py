"""The statement of a webhook: which deliveries it shows, in pages that come from an index alone."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core.records.models import Record
from chalicelib.core.web.roles import Role
from chalicelib.webhooks import wiring
from chalicelib.webhooks.models import TEST, Reason
from tests.support.gateway import ask
from tests.support.users import signed_in
from tests.unit.webhooks.build import add_webhook, happening


@pytest.fixture
def admin(users: Any, stores: Any) -> str:
    del users, stores
    return signed_in("admin-1", Role.ADMIN)


def make(webhook: Record, number: int) -> None:
    wiring.deliveries().record(webhook.id, [happening(each) for each in range(1, number + 1)])


def pages(token: str, webhook: Record, **query: str) -> list[list[dict[str, Any]]]:
    """Return the items of each page of the statement."""
    found, cursor = [], None
    while True:
        asked = query | ({"cursor": cursor} if cursor else {})
        answer = ask("GET", f"/api/webhooks/{webhook.id}/statement", token=token, query=asked)
        assert answer.status == 200, answer.text
        found.append(answer.json["items"])
        if (cursor := answer.json["nextCursor"]) is None:
            return found


def test_a_statement_lists_each_delivery_once_by_sequence(admin: str, stores: Any) -> None:
    webhook, other = add_webhook(), add_webhook()
    make(webhook, 5)
    make(other, 2)
    wiring.deliveries().test(webhook.id, happening(9, type=TEST))
    found = pages(admin, webhook, limit="2")
    assert [[each["sequence"] for each in page] for page in found] == [[1, 2], [3, 4], [5]]
    for each in [each for page in found for each in page]:
        stored = stores.deliveries.find_one({"_id": each["deliveryId"]})
        assert each["digest"] == hashlib.sha256(stored["body"].encode()).hexdigest()
        assert (stored["webhook"], stored["sequence"]) == (webhook.id, each["sequence"])


def test_a_statement_begins_with_the_asked_sequence(admin: str) -> None:
    webhook = add_webhook()
    make(webhook, 4)
    assert [[each["sequence"] for each in page] for page in pages(admin, webhook, **{"from": "3"})] == [[3, 4]]
    assert pages(admin, webhook, **{"from": "5"}) == [[]]
    answer = ask("GET", f"/api/webhooks/{webhook.id}/statement", token=admin, query={"from": "0"})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "from")


def test_a_statement_keeps_what_was_never_sent(admin: str) -> None:
    """Deliveries of a disabled webhook are recorded, so that the receiver sees what it has missed."""
    webhook = add_webhook()
    wiring.deliveries().record(webhook.id, [happening(1), happening(2)], Reason.DISABLED)
    assert [each["sequence"] for each in pages(admin, webhook)[0]] == [1, 2]


def test_deliveries_no_longer_kept_leave_the_statement(admin: str, stores: Any) -> None:
    """MongoDB removes documents late; the pages after them still come."""
    webhook = add_webhook()
    make(webhook, 7)
    for sequence, over in ((1, timedelta(days=1)), (2, timedelta()), (3, timedelta()), (4, timedelta())):
        change = {"$set": {"purgeAt": datetime.now(UTC) - over}}
        stores.deliveries.update_one({"webhook": webhook.id, "sequence": sequence}, change)
    found = pages(admin, webhook, limit="1")
    assert [[each["sequence"] for each in page] for page in found] == [[5], [6], [7]]


def test_a_delivery_of_an_earlier_release_has_its_digest(admin: str, stores: Any) -> None:
    webhook = add_webhook()
    make(webhook, 2)
    before = pages(admin, webhook)
    stores.deliveries.update_one({"webhook": webhook.id, "sequence": 1}, {"$unset": {"digest": ""}})
    assert pages(admin, webhook) == before


def test_a_statement_reads_an_index_and_no_delivery(admin: str, stores: Any) -> None:
    webhook = add_webhook()
    make(webhook, 300)
    stores.command("profile", 2)
    try:
        assert [len(page) for page in pages(admin, webhook, limit="200")] == [200, 100]
    finally:
        stores.command("profile", 0)
    seen = list(stores["system.profile"].find({"ns": f"{stores.name}.deliveries", "command.hint": "statement"}))
    assert [(each["docsExamined"], each["keysExamined"] <= 201) for each in seen] == [(0, True)] * 2


def test_an_unknown_webhook_has_no_statement(admin: str) -> None:
    answer = ask("GET", "/api/webhooks/01ARZ3NDEKTSV4RRFFQ69G5FAV/statement", token=admin)
    assert (answer.status, answer.json["code"]) == (404, "webhook-not-found")


@pytest.mark.parametrize("role", [Role.USER, Role.OFFICER, Role.SERVICE])
def test_a_session_without_the_role_reads_no_statement(admin: str, role: Role) -> None:
    webhook = add_webhook()
    answer = ask("GET", f"/api/webhooks/{webhook.id}/statement", token=signed_in("other", role))
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
