"""The base of query models, and the models of paged lists, for the routes of all slices."""

from typing import Generic, TypeVar

from pydantic import ConfigDict, Field

from chalicelib.core.models import Model

Item = TypeVar("Item")


class Query(Model):
    """The base of query strings, whose values are all text."""

    model_config = ConfigDict(strict=False)


class PageQuery(Query):
    """The two parameters of every list."""

    limit: int = Field(default=50, ge=1, le=200, description="how many items to answer at most")
    cursor: str | None = Field(
        default=None, min_length=1, max_length=1024, description="`nextCursor` of the page before"
    )


class Page(Model, Generic[Item]):
    """A page of a list; ``nextCursor`` is null on the last page."""

    items: list[Item]
    next_cursor: str | None
