"""A page ends before its JSON outgrows a function's response, whatever its items hold."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.web import paging
from chalicelib.core.web.models import PageQuery
from chalicelib.core.web.paging import PAGE_BYTES, Cursors

CURSORS = Cursors(lambda: "a key")


@pytest.mark.parametrize("letter", ["a", '"', "\\", "\x01", "é", "漢", "😀"])
def test_page_of_any_letters_fits_into_a_response(letter: str) -> None:
    # Given
    items = [letter * 100_000] * 200
    # When
    body = CURSORS.render("items", PageQuery(limit=200), lambda limit, _: items[:limit], lambda _: "after")
    # Then
    sent = json.dumps({"statusCode": 200, "body": body})
    assert PAGE_BYTES * 0.5 < len(sent) < PAGE_BYTES + 10_000
    assert json.loads(body)["nextCursor"]


@given(text=st.text())
def test_weight_of_a_text_is_its_length_in_the_response(text: str) -> None:
    item = json.dumps(text)
    assert paging.weight(item) == len(json.dumps(item))


def test_item_larger_than_a_page_stands_alone() -> None:
    items = ["a" * (PAGE_BYTES + 1), "b"]
    page, cursor = CURSORS.page("items", PageQuery(), lambda limit, _: items[:limit], lambda item: item[0])
    assert ([item[0] for item in page], cursor is None) == (["a"], False)


def test_full_page_reads_no_further_item() -> None:
    read: list[int] = []

    def fetch(limit: int, _after: str | None) -> Iterator[str]:
        for number in range(limit):
            read.append(number)
            yield "a" * (PAGE_BYTES // 3)

    CURSORS.page("items", PageQuery(limit=200), fetch, lambda _: "after")
    assert read == [0, 1, 2]


@given(sizes=st.lists(st.integers(1, PAGE_BYTES), min_size=1, max_size=12), limit=st.integers(1, 5))
def test_pages_cut_by_weight_list_every_item_once(sizes: list[int], limit: int) -> None:
    def fetch(most: int, after: str | None) -> list[tuple[int, int]]:
        return list(enumerate(sizes))[int(after or 0) :][:most]

    def page(cursor: str | None) -> Any:
        asked = PageQuery(limit=limit, cursor=cursor)
        return CURSORS.page("items", asked, fetch, lambda item: str(item[0] + 1), lambda item: "x" * item[1])

    read, cursor = [], None
    for _ in itertools.count():
        items, cursor = page(cursor)
        read += items
        if cursor is None:
            break
    assert read == list(enumerate(sizes))
