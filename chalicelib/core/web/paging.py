"""Pages of lists, weighed by the bytes that they send, and cursors: signed positions, bound to the query of a list."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from itsdangerous import BadData, URLSafeSerializer
from pydantic import BaseModel
from pydantic_core import to_json

from chalicelib.core.errors import FieldError, Invalid
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients
from chalicelib.core.web.models import PageQuery

Found = TypeVar("Found")
Position = str


#: The bytes of a page's items as the gateway's JSON holds them. Lambda takes 6 MB, and the contract promises 5 MB.
PAGE_BYTES = 5_000_000


def weight(text: str) -> int:
    """Return the bytes of JSON *text* inside a function's response, where the body is a JSON string once more.

    Counts every character outside ASCII as its escape, the longest form that a JSON writer gives to a character.
    """
    return len(json.dumps(text))


def json_of(item: Any) -> str:
    """Return the JSON of *item* in an answer."""
    if isinstance(item, BaseModel):
        return item.model_dump_json()
    return to_json(item, fallback=str).decode()


def page_of(items: Iterable[str], **fields: Any) -> str:
    """Return the JSON of a page: *items*, each as JSON, and the other *fields*."""
    return f'{{"items":[{",".join(items)}],{json.dumps(fields)[1:]}'


class Cursors:
    """Makes pages of lists; seals positions into cursors, and opens cursors."""

    def __init__(self, key: Callable[[], str]) -> None:
        """Seal with *key*, which is called on first use."""
        self._key = key

    def page(
        self,
        name: str,
        asked: PageQuery,
        fetch: Callable[[int, Position | None], Iterable[Found]],
        position: Callable[[Found], Position],
        text: Callable[[Found], str] = json_of,
    ) -> tuple[Sequence[Found], str | None]:
        """Return a page of the list *name*, and the cursor of the next page, None at the end.

        *fetch* is called once, with the maximum number of items and the position to continue after. The number is the
        page's limit plus one: the extra item shows that there is a next page, without a count. A page ends before the
        item with which the JSON of its items, by *text*, has more than `PAGE_BYTES`; the first item always stands. No
        item is taken of *fetch* after that one.
        """
        query = {"list": name, **asked.model_dump(mode="json", exclude={"limit", "cursor"})}
        after = self.open(query, asked.cursor) if asked.cursor else None
        page: list[Found] = []
        total = 0
        for item in fetch(asked.limit + 1, after):
            total += weight(text(item))
            if page and (len(page) == asked.limit or total > PAGE_BYTES):
                return page, self.seal(query, position(page[-1]))
            page.append(item)
        return page, None

    def render(
        self,
        name: str,
        asked: PageQuery,
        fetch: Callable[[int, Position | None], Iterable[Found]],
        position: Callable[[Found], Position],
        text: Callable[[Found], str] = json_of,
    ) -> str:
        """Return the JSON of the page that `page` returns; each item is rendered once."""

        def rendered(limit: int, after: Position | None) -> Iterator[tuple[str, Found]]:
            return ((text(item), item) for item in fetch(limit, after))

        page, cursor = self.page(name, asked, rendered, lambda pair: position(pair[1]), itemgetter(0))
        return page_of((item for item, _ in page), nextCursor=cursor)

    def seal(self, query: dict[str, Any], position: Position) -> str:
        """Return an opaque cursor that continues after *position* of *query*."""
        return str(self._serializer(query).dumps(position))

    def open(self, query: dict[str, Any], cursor: str) -> Position:
        """Return the position sealed in *cursor*.

        Raises:
            Invalid: the cursor was altered, or belongs to another query.
        """
        serializer = self._serializer(query)
        try:
            position: Position = serializer.loads(cursor)
        except BadData as error:
            raise Invalid([FieldError("cursor", "not a cursor of this list")]) from error
        # The last character of a signature in base64 has spare bits, which a decoder ignores.
        if serializer.make_signer(serializer.salt).sign(cursor.rpartition(".")[0]) != cursor.encode():
            raise Invalid([FieldError("cursor", "not a cursor of this list")])
        return position

    def _serializer(self, query: dict[str, Any]) -> URLSafeSerializer:
        # The query is the salt, so a cursor has no valid signature under another query.
        canonical = json.dumps(query, sort_keys=True, default=str).encode()
        return URLSafeSerializer(
            self._key(), salt=hashlib.sha256(canonical).digest(), signer_kwargs={"digest_method": hashlib.sha256}
        )


@once
def cursors() -> Cursors:
    """Return this deployment's cursors."""
    return Cursors(lambda: clients.signing_key("cursors").hex())
