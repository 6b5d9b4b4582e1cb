"""The text of a signed call binds method, path and query, however the gateway passes them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.web import Routes
from chalicelib.core.web.roles import NOBODY
from chalicelib.core.web.signed import text_of

queries = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=4)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ([], "GET /a/b"),
        ([("limit", "2"), ("from", "1")], "GET /a/b?from=1&limit=2"),
        ([("a", "x y"), ("a", "&=/")], "GET /a/b?a=%26%3D%2F&a=x%20y"),
        ([("a", "\ud800")], "GET /a/b?a=%3F"),
    ],
)
def test_the_text_has_the_query_in_the_order_of_its_names(query: list[tuple[str, str]], text: str) -> None:
    assert text_of("GET", "/a/b", query) == text


@given(queries, queries)
def test_two_queries_have_two_texts(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    assert (text_of("GET", "/", one) == text_of("GET", "/", other)) == (sorted(one) == sorted(other))


def test_a_path_cannot_pass_for_a_query() -> None:
    assert text_of("GET", "/a?b=1", []) != text_of("GET", "/a", [("b", "1")])


def test_a_call_with_a_body_takes_no_signature() -> None:
    routes: Any = Routes("test")
    with pytest.raises(ValueError, match="signed text"):
        routes.add("POST", "/a", signer=lambda _: NOBODY)
