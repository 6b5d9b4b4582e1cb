"""The models of queries and lists: what every slice's routes share."""

from typing import Generic, TypeVar

from pydantic import ConfigDict, Field

from chalicelib.core.models import Model

Item = TypeVar("Item")


class Query(Model):
    """What comes in a query string, where everything is text."""

    model_config = ConfigDict(strict=False)


class PageQuery(Query):
    """The two parameters every list takes."""

    limit: int = Field(default=50, ge=1, le=200, description="how many items to answer at most")
    cursor: str | None = Field(
        default=None, min_length=1, max_length=1024, description="`nextCursor` of the page before"
    )


class Page(Model, Generic[Item]):
    """One page of a list; ``nextCursor`` is null on the last."""

    items: list[Item]
    next_cursor: str | None
