"""The ledger's chain of hashes: appending, sealing, and finding a broken entry."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib import ledger
from chalicelib.core.stores import clients
from chalicelib.core.stores.dynamodb import TransactionRefused
from chalicelib.core.web.roles import Role
from chalicelib.ledger import verify as walk
from chalicelib.ledger import wiring as ledger_wiring
from chalicelib.ledger.models import GENESIS
from chalicelib.users.store import UserStore
from tests.support.concurrency import race
from tests.support.gateway import ask
from tests.support.users import signed_in


@pytest.fixture
def admin(users: UserStore, mongodb: Database[dict[str, Any]]) -> str:
    return signed_in("root", Role.ADMIN)


def post(application_id: str = "a-1", amount: int = 500) -> None:
    writes = ledger.posting(ledger.Movement("disbursement", application_id, amount, "EUR"))
    clients.table("ledger").transact(writes)


def listed(token: str, **query: str) -> dict[str, Any]:
    answer = ask("GET", "/api/ledger", token=token, query=query)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def verified(token: str) -> dict[str, Any]:
    """Verify the whole chain, call by call, and return the last answer."""
    answer = ask("GET", "/api/ledger/verify", token=token).json
    while answer["nextCursor"]:
        answer = ask("GET", "/api/ledger/verify", token=token, query={"cursor": answer["nextCursor"]}).json
    assert set(answer) == {"ok", "entries", "headHash", "firstBrokenSeq", "nextCursor"}
    found: dict[str, Any] = answer
    return found


def test_an_empty_ledger_verifies(admin: str) -> None:
    assert listed(admin) == {"items": [], "nextCursor": None}
    assert verified(admin) == {
        "ok": True,
        "entries": 0,
        "headHash": GENESIS,
        "firstBrokenSeq": None,
        "nextCursor": None,
    }


def test_each_hash_covers_the_entry_and_the_hash_before(admin: str) -> None:
    for number in range(3):
        post(f"a-{number}", 100 + number)
    entries = listed(admin)["items"]
    assert [(entry["seq"], entry["applicationId"], entry["amountMinor"]) for entry in entries] == [
        (1, "a-0", 100),
        (2, "a-1", 101),
        (3, "a-2", 102),
    ]
    before = GENESIS
    for entry in entries:
        assert entry["previousHash"] == before
        open_ = {name: value for name, value in entry.items() if name != "hash"}
        canonical = json.dumps(open_, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        before = hashlib.sha256(canonical.encode()).hexdigest()
        assert entry["hash"] == before
    assert verified(admin)["headHash"] == before


def test_racing_postings_after_an_entry_have_one_winner(dynamodb: Any) -> None:
    post()
    writes = [ledger.posting(ledger.Movement("disbursement", f"a-{n}", 1, "EUR")) for n in range(20)]

    def write(one: list[Any]) -> Callable[[], bool]:
        def attempt() -> bool:
            try:
                clients.table("ledger").transact(one)
            except TransactionRefused:
                return False
            return True

        return attempt

    assert sum(outcome is True for outcome in race([write(one) for one in writes])) == 1
    assert ledger_wiring.store().head().seq == 2


def test_pages_of_entries_follow_each_other(admin: str) -> None:
    for number in range(5):
        post(f"a-{number}")
    first = listed(admin, limit="3")
    second = listed(admin, limit="3", cursor=first["nextCursor"])
    assert [entry["seq"] for entry in first["items"] + second["items"]] == [1, 2, 3, 4, 5]
    assert second["nextCursor"] is None


def _alter(seq: int, **attributes: Any) -> None:
    table = clients.table("ledger")
    item = table.get(f"entry#{seq}") or {}
    table.batch_write([{**item, **attributes}])


BREAKS: dict[str, tuple[Callable[[], None], int]] = {
    "an amount was altered": (lambda: _alter(3, amountMinor=1), 3),
    "an entry was altered and sealed anew": (
        lambda: _alter(3, amountMinor=1, hash=_resealed(3, amountMinor=1)),
        4,
    ),
    "the last was altered and sealed anew": (lambda: _alter(5, amountMinor=1, hash=_resealed(5, amountMinor=1)), 5),
    "an entry is missing": (lambda: clients.table("ledger").batch_write([], [{"pk": "entry#2"}]), 2),
    "the last entry is missing": (lambda: clients.table("ledger").batch_write([], [{"pk": "entry#5"}]), 5),
    "an entry is no entry": (lambda: _alter(4, kind=7), 4),
    "two entries changed places": (lambda: _swap(2, 3), 2),
    "the head is another": (
        lambda: clients.table("ledger").batch_write([{"pk": "head", "seq": 5, "hash": GENESIS}]),
        5,
    ),
}


def _resealed(seq: int, **attributes: Any) -> str:
    (entry,) = ledger_wiring.store().entries(seq - 1, 1)
    altered = entry.model_copy(update={"amount_minor": attributes["amountMinor"]})
    return altered.seal


def _swap(one: int, other: int) -> None:
    table = clients.table("ledger")
    first, second = table.get(f"entry#{one}") or {}, table.get(f"entry#{other}") or {}
    table.batch_write([{**first, "pk": second["pk"]}, {**second, "pk": first["pk"]}])


@pytest.mark.parametrize("breakage", BREAKS)
@pytest.mark.parametrize("entries_per_call", [2, 1_000])
def test_the_first_broken_entry_is_found(
    admin: str, monkeypatch: pytest.MonkeyPatch, printed: Any, breakage: str, entries_per_call: int
) -> None:
    # Given
    monkeypatch.setattr(walk, "_ENTRIES_PER_CALL", entries_per_call)
    for number in range(5):
        post(f"a-{number}")
    assert verified(admin)["ok"]
    # When
    break_, first = BREAKS[breakage]
    break_()
    # Then
    found = verified(admin)
    assert (found["ok"], found["firstBrokenSeq"], found["entries"]) == (False, first, first - 1)


def test_a_call_of_verify_is_bounded_and_counts_from_the_start(admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "_ENTRIES_PER_CALL", 2)
    for number in range(5):
        post(f"a-{number}")
    first = ask("GET", "/api/ledger/verify", token=admin).json
    assert (first["ok"], first["entries"], bool(first["nextCursor"])) == (True, 2, True)
    # Entries posted meanwhile are verified too
    post("a-late")
    assert verified(admin)["entries"] == 6


def test_a_malformed_cursor_is_refused(admin: str) -> None:
    assert ask("GET", "/api/ledger/verify", token=admin, query={"cursor": "x"}).status == 422


@pytest.mark.parametrize("role", [Role.OFFICER, Role.SERVICE, Role.USER])
def test_the_ledger_is_forbidden_to_other_roles(admin: str, role: Role) -> None:
    token = signed_in("someone", role)
    assert ask("GET", "/api/ledger", token=token).status == 403
    assert ask("GET", "/api/ledger/verify", token=token).status == 403
