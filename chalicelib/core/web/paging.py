"""Cursors: where a list goes on, signed and bound to the query it came from."""

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


#: A function answers 6 MB at most, and what it answers is quoted once more on the way.
PAGE_BYTES = 2_500_000


def fitting(weights: Iterable[int]) -> int:
    """Return how many items of these *weights* a page holds: one at least, then as many as `PAGE_BYTES` allows."""
    total = count = 0
    for weight in weights:
        total += weight
        if count and total > PAGE_BYTES:
            break
        count += 1
    return count


class Cursors:
    """Seals positions into cursors and opens them again."""

    def __init__(self, key: Callable[[], str]) -> None:
        """Make sealed cursors with *key*, which is asked for when the first one is needed."""
        self._key = key

    def page(
        self,
        name: str,
        asked: PageQuery,
        fetch: Callable[[int, Position | None], Sequence[Found]],
        position: Callable[[Found], Position],
        weigh: Callable[[Found], int] = lambda _: 0,
    ) -> tuple[Sequence[Found], str | None]:
        """Return one page of the list *name* and the cursor of the next, None at the end.

        *fetch* is called once, with how many to return and the position to go on after. One more than the page holds is
        asked for: whether it is there says whether there is a next page, without a count. A page whose items *weigh*
        more than `PAGE_BYTES` is cut there; *fetch* may stop at the first that no longer fits.
        """
        query = {"list": name, **asked.model_dump(mode="json", exclude={"limit", "cursor"})}
        after = self.open(query, asked.cursor) if asked.cursor else None
        found = fetch(asked.limit + 1, after)
        page = found[: min(asked.limit, fitting(map(weigh, found)))]
        if len(page) == len(found):
            return page, None
        return page, self.seal(query, position(page[-1]))

    def seal(self, query: dict[str, Any], position: Position) -> str:
        """Return an opaque cursor that goes on after *position* of *query*."""
        return str(self._serializer(query).dumps(position))

    def open(self, query: dict[str, Any], cursor: str) -> Position:
        """Return the position that was sealed.

        Raises:
            Invalid: the cursor was altered, or belongs to another query.
        """
        try:
            position: Position = self._serializer(query).loads(cursor)
        except BadData as error:
            raise Invalid([FieldError("cursor", "not a cursor of this list")]) from error
        return position

    def _serializer(self, query: dict[str, Any]) -> URLSafeSerializer:
        # The query is the salt: a cursor opened under another one has a wrong signature.
        canonical = json.dumps(query, sort_keys=True, default=str).encode()
        return URLSafeSerializer(
            self._key(), salt=hashlib.sha256(canonical).digest(), signer_kwargs={"digest_method": hashlib.sha256}
        )


@once
def cursors() -> Cursors:
    """Return this deployment's cursors."""
    return Cursors(lambda: clients.signing_key("cursors").hex())
