"""Cursors: the position at which a list continues, signed and bound to the query of the list."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from itsdangerous import BadData, URLSafeSerializer

from chalicelib.core.errors import FieldError, Invalid
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients
from chalicelib.core.web.models import PageQuery

Found = TypeVar("Found")
Position = str


#: A function's response is limited to 6 MB, and the body is quoted once more on the way.
PAGE_BYTES = 2_500_000


def fitting(weights: Iterable[int]) -> int:
    """Return how many items of *weights* (bytes) fit on a page: at least the first, then as `PAGE_BYTES` allows."""
    total = count = 0
    for weight in weights:
        total += weight
        if count and total > PAGE_BYTES:
            break
        count += 1
    return count


def text(items: Iterable[str], **fields: Any) -> str:
    """Return the JSON of a page: *items*, each as JSON, and the other *fields*."""
    return f'{{"items":[{",".join(items)}],{json.dumps(fields)[1:]}'


class Cursors:
    """Seals positions into cursors, and opens cursors."""

    def __init__(self, key: Callable[[], str]) -> None:
        """Seal with *key*, which is called on first use."""
        self._key = key

    def page(
        self,
        name: str,
        asked: PageQuery,
        fetch: Callable[[int, Position | None], Sequence[Found]],
        position: Callable[[Found], Position],
        weigh: Callable[[Found], int] = lambda _: 0,
    ) -> tuple[Sequence[Found], str | None]:
        """Return a page of the list *name*, and the cursor of the next page, None at the end.

        *fetch* is called once, with the maximum number of items and the position to continue after. The number is the
        page's limit plus one: the extra item shows that there is a next page, without a count. A page ends where its
        items *weigh* more than `PAGE_BYTES`; *fetch* may stop at the first item that no longer fits.
        """
        query = {"list": name, **asked.model_dump(mode="json", exclude={"limit", "cursor"})}
        after = self.open(query, asked.cursor) if asked.cursor else None
        found = fetch(asked.limit + 1, after)
        page = found[: min(asked.limit, fitting(map(weigh, found)))]
        if len(page) == len(found):
            return page, None
        return page, self.seal(query, position(page[-1]))

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
