"""Generated pages are up to date, and name every limit of every request."""

import pytest

from infra.docs import fields
from infra.docs.__main__ import PAGES
from infra.environment import ROOT


@pytest.mark.parametrize("name", PAGES)
def test_generated_page_is_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == PAGES[name](), "run scripts/check --fix"


@pytest.mark.parametrize(
    "line",
    [
        "| `limit` | query | a whole number from 1 to 200; `50` if absent |",
        "| `password` | body | text of 8 to 256 characters; required |",
        "| `timeoutMs` | body | a whole number from 1,000 to 604,800,000; `25000` if absent |",
        "| `deviceId` | path | 1 to 128 letters, digits,",
        "| `escalateTo[].afterMs` | body | a whole number from 1,000 to 604,800,000; required |",
        "| `ids` | body | list of 1 to 100 items;",
        "| `data` | body | an object of any JSON |",
        "| `expiresAt` | body | a time in ISO 8601 with its zone |",
    ],
)
def test_page_of_fields_says_what_a_field_takes(line: str) -> None:
    assert line in fields.page()
