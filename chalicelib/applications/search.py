"""Queries of lists of applications, and the search keys stored for applications (no I/O)."""

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from chalicelib.applications.models import Application, Status, moves, shown
from chalicelib.core.models import Model
from chalicelib.core.records.models import Kind, Record
from chalicelib.core.records.shape import Shape
from chalicelib.core.web.models import PageQuery

#: The last application reachable by page number. Reading a whole list by cursor costs the same at every position.
DEEPEST = 10_000
#: A list's total is exact up to here.
COUNTED = 10_000
#: Further words of a query hardly narrow the list, and are ignored.
_WORDS_AT_MOST = 5
#: Words indexed per application. The limit bounds the index entries of a long name or email.
_WORDS_KEPT = 24
#: Of these, words of the email, and words of the id. The rest is the name's, so a long name displaces neither.
_WORDS_KEPT_EACH = 6


class Sort(StrEnum):
    """The order of a list; a minus puts the highest first."""

    CREATED = "createdAt"
    CREATED_LAST = "-createdAt"
    UPDATED = "updatedAt"
    UPDATED_LAST = "-updatedAt"
    AMOUNT = "amountMinor"
    AMOUNT_LAST = "-amountMinor"
    NAME = "applicantName"
    NAME_LAST = "-applicantName"


#: The path in the read model of each field used for ordering.
ORDERS: Mapping[str, str] = {
    "createdAt": "createdAt",
    "updatedAt": "updatedAt",
    "amountMinor": "doc.amountMinor",
    "applicantName": "keys.name",
}


class ApplicationQuery(PageQuery):
    """Filters, order and page of a list of applications."""

    page: int | None = Field(
        default=None,
        ge=1,
        le=DEEPEST,
        description=f"up to the {DEEPEST:,}th application; beyond that, follow `nextCursor`",
    )
    status: Status | None = None
    q: str | None = Field(
        default=None, min_length=1, max_length=100, description="beginnings of words of the name, the email or the id"
    )
    sort: Sort = Sort.CREATED_LAST

    @field_validator("page")
    @classmethod
    def _within_depth(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value * info.data.get("limit", 1) > DEEPEST:
            raise ValueError(f"pages end at the {DEEPEST:,}th application; follow nextCursor")
        return value

    @property
    def order(self) -> str:
        """The path in the read model of the field used for ordering."""
        return ORDERS[self.sort.removeprefix("-")]

    @property
    def descending(self) -> bool:
        """Return whether the highest comes first."""
        return self.sort.startswith("-")

    @property
    def beginnings(self) -> list[str]:
        """The distinct word beginnings searched for, longest first, since the longest narrows the list most."""
        words = dict.fromkeys(folded(self.q or "").split())
        return sorted(words, key=len, reverse=True)[:_WORDS_AT_MOST]


class ApplicationPage(Model):
    """One page of applications."""

    items: list[Application]
    page: int
    limit: int
    total: int = Field(description=f"number of applications on all pages; exact up to {COUNTED:,}")
    total_is_lower_bound: bool = Field(description="there are more than `total`")
    next_cursor: str | None


def folded(text: str) -> str:
    """Return *text* in the form used for comparison: case folded, without accents."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def _words_of(text: str) -> list[str]:
    """Return the distinct words of *text*, folded: split at spaces, and split further at punctuation."""
    wholes = folded(text).split()
    parts = [part for whole in wholes for part in re.split(r"[\W_]+", whole) if part]
    return list(dict.fromkeys(wholes + parts))


def _search_keys(record: Record) -> Mapping[str, Any]:
    doc = record.doc
    sure = [word for text in (doc["email"], record.id) for word in _words_of(text)[:_WORDS_KEPT_EACH]]
    words = list(dict.fromkeys(sure + _words_of(doc["applicantName"])))[:_WORDS_KEPT]
    return {"name": folded(doc["applicantName"]), "words": words}


#: The JSON of an application in answers.
SHAPE = Shape(Application, shown)

KIND = Kind("application", _search_keys, SHAPE.stored, SHAPE.text, moves)
