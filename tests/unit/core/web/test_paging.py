import string
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.errors import Invalid
from chalicelib.core.web.models import PageQuery
from chalicelib.core.web.paging import Cursors

CURSORS = Cursors(lambda: "a key")
ITEMS = [f"{number:03}" for number in range(7)]


class Asked(PageQuery):
    """A list with one filter."""

    status: str | None = None


def fetch(limit: int, after: str | None) -> list[str]:
    return [item for item in ITEMS if after is None or item > after][:limit]


def page(cursor: str | None = None, limit: int = 3, **more: Any) -> tuple[Sequence[str], str | None]:
    return CURSORS.page("items", Asked(limit=limit, cursor=cursor, **more), fetch, str)


@given(
    position=st.text(),
    query=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=5),
)
def test_sealed_position_is_opened_with_its_query(position: str, query: dict[str, Any]) -> None:
    assert CURSORS.open(query, CURSORS.seal(query, position)) == position


@given(position=st.text(), data=st.data())
def test_altered_cursor_is_refused(position: str, data: st.DataObject) -> None:
    # Given
    cursor = CURSORS.seal({"list": "items"}, position)
    at = data.draw(st.integers(0, len(cursor) - 1))
    put = data.draw(st.sampled_from("AQgw-_.!é").filter(lambda letter: letter != cursor[at]))
    altered = cursor[:at] + put + cursor[at + 1 :]
    # Then
    with pytest.raises(Invalid) as refused:
        CURSORS.open({"list": "items"}, altered)
    assert [error.path for error in refused.value.errors] == ["cursor"]


@given(position=st.text())
def test_cursor_with_its_last_character_altered_is_refused(position: str) -> None:
    cursor = CURSORS.seal({}, position)
    for letter in (string.ascii_letters + string.digits + "-_").replace(cursor[-1], ""):
        with pytest.raises(Invalid):
            CURSORS.open({}, cursor[:-1] + letter)


@given(cursor=st.text())
def test_text_that_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid):
        CURSORS.open({}, cursor)


def test_cursor_is_bound_to_its_list_and_query() -> None:
    # Given
    _, cursor = page(status="pending")
    assert cursor is not None
    # Then
    assert page(cursor, status="pending")[0] == ITEMS[3:6]
    with pytest.raises(Invalid):
        page(cursor, status="resolved")
    with pytest.raises(Invalid):
        page(cursor)
    with pytest.raises(Invalid):
        CURSORS.page("others", Asked(limit=3, cursor=cursor, status="pending"), fetch, str)


def test_cursor_sealed_with_another_key_is_refused() -> None:
    _, cursor = page()
    assert cursor is not None
    with pytest.raises(Invalid):
        Cursors(lambda: "another key").page("items", Asked(limit=3, cursor=cursor), fetch, str)


def test_the_limit_may_change_from_page_to_page() -> None:
    _, cursor = page(limit=1)
    assert page(cursor, limit=5) == (ITEMS[1:6], page(limit=6)[1])


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_pages_of_any_size_list_every_item_once(limit: int) -> None:
    # When
    items, cursor = page(limit=limit)
    read, pages = list(items), 1
    while cursor:
        items, cursor = page(cursor, limit=limit)
        read += items
        pages += 1
    # Then
    assert read == ITEMS
    assert pages == -(-len(ITEMS) // limit)


def test_signing_key_is_read_with_the_first_cursor() -> None:
    def no_key() -> str:
        raise AssertionError("asked for too early")

    assert Cursors(no_key).page("items", Asked(limit=200), fetch, str) == (ITEMS, None)
