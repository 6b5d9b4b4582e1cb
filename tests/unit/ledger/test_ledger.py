"""The chain: who writes to it, what it is sealed by, and how a break is found."""

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
    """Verify the whole chain, however many calls that takes."""
    answer = ask("GET", "/api/ledger/verify", token=token).json
    while answer["nextCursor"]:
        answer = ask("GET", "/api/ledger/verify", token=token, query={"cursor": answer["nextCursor"]}).json
    assert set(answer) == {"ok", "entries", "headHash", "firstBrokenSeq", "nextCursor"}
    found: dict[str, Any] = answer
    return found


def test_an_empty_chain_is_whole(admin: str) -> None:
    assert listed(admin) == {"items": [], "nextCursor": None}
    assert verified(admin) == {
        "ok": True,
        "entries": 0,
        "headHash": GENESIS,
        "firstBrokenSeq": None,
        "nextCursor": None,
    }


def test_each_entry_is_sealed_with_the_one_before_and_anyone_may_compute_it(admin: str) -> None:
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


def test_of_many_who_write_behind_the_same_entry_one_does(dynamodb: Any) -> None:
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


def test_a_list_goes_on_where_it_ended(admin: str) -> None:
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


@pytest.mark.parametrize("what", BREAKS)
@pytest.mark.parametrize("at_once", [2, 1_000])
def test_the_first_broken_entry_is_found(
    admin: str, monkeypatch: pytest.MonkeyPatch, printed: Any, what: str, at_once: int
) -> None:
    # Given
    monkeypatch.setattr(walk, "_ENTRIES_PER_CALL", at_once)
    for number in range(5):
        post(f"a-{number}")
    assert verified(admin)["ok"]
    # When
    break_, first = BREAKS[what]
    break_()
    # Then
    found = verified(admin)
    assert (found["ok"], found["firstBrokenSeq"], found["entries"]) == (False, first, first - 1)


def test_a_walk_is_bounded_and_counts_what_it_has_seen(admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "_ENTRIES_PER_CALL", 2)
    for number in range(5):
        post(f"a-{number}")
    first = ask("GET", "/api/ledger/verify", token=admin).json
    assert (first["ok"], first["entries"], bool(first["nextCursor"])) == (True, 2, True)
    # What comes meanwhile is looked at as well
    post("a-late")
    assert verified(admin)["entries"] == 6


def test_a_cursor_that_was_altered_is_refused(admin: str) -> None:
    assert ask("GET", "/api/ledger/verify", token=admin, query={"cursor": "x"}).status == 422


@pytest.mark.parametrize("role", [Role.OFFICER, Role.SERVICE, Role.USER])
def test_the_ledger_is_for_administrators(admin: str, role: Role) -> None:
    token = signed_in("someone", role)
    assert ask("GET", "/api/ledger", token=token).status == 403
    assert ask("GET", "/api/ledger/verify", token=token).status == 403
