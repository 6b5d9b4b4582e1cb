"""The times of the ledger never go back, whatever the clocks of the processes that pay."""

from typing import Any

import pytest

from chalicelib import ledger
from chalicelib.core.runtime import clock
from chalicelib.core.stores import clients
from chalicelib.ledger import wiring
from chalicelib.ledger.models import EMPTY

EARLY, LATE, LATER = (f"2026-11-26T12:0{minute}:00.000Z" for minute in (0, 5, 6))


def post_at(stamp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "stamp", lambda: stamp)
    clients.table("ledger").transact(ledger.posting(ledger.Movement("disbursement", "a-1", 500, "EUR")))


def times() -> list[str]:
    """Return the times of the entries, which must form a chain."""
    entries, head = wiring.store().entries(0, 10), EMPTY
    for entry in entries:
        assert entry.follows(head)
        head = entry.head
    assert head == wiring.store().head()
    return [entry.at for entry in entries]


def test_entry_by_a_clock_behind_has_the_time_of_the_entry_before(
    dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stamp in (LATE, EARLY, LATER):
        post_at(stamp, monkeypatch)
    assert times() == [LATE, LATE, LATER]


def test_entry_after_a_head_of_an_earlier_version_is_not_before_the_last(
    dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a head without a time
    post_at(LATE, monkeypatch)
    clients.table("ledger").change("head", "REMOVE #at", when="", values={}, names={"#at": "at"})
    # When
    post_at(EARLY, monkeypatch)
    # Then
    assert times() == [LATE, LATE]
