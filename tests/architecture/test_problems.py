"""docs/problems.md has a section for every code of an error, and every error of a route has a code of its own."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from chalicelib import slices
from chalicelib.core.errors import CODES, ServiceError
from chalicelib.core.web.openapi import errors_of
from tests.architecture.source import ROOT, verdict
from tests.architecture.test_errors import errors

PAGE = ROOT / "docs/problems.md"
#: A heading, a status, text with what to do, and one example.
SECTION = re.compile(r"(\S+)\n\n\*\*(\d{3})\.\*\* .+?\n\n\*What to do:\* .+?\n\n```json\n(.+?)\n```\n", re.DOTALL)


def coded() -> Iterator[type[ServiceError]]:
    """Yield every error that declares a code of its own."""
    return (error for error in errors() if "code" in error.__dict__)


def sections(page: str) -> Mapping[str, tuple[int, dict[str, Any]]]:
    """Return status and example body of every section of *page*, by heading."""
    found = {}
    for text in page.split("\n## ")[1:]:
        section = SECTION.fullmatch(text.rstrip("\n") + "\n")
        if section is None:
            pytest.fail(f"docs/problems.md: {text.partition(chr(10))[0]} has not the parts of the other sections")
        found[section[1]] = int(section[2]), json.loads(section[3])
    return found


def statuses() -> dict[str, int]:
    """Return the status of every code."""
    return {code: int(status) for status, code in CODES.items()} | {error.code: int(error.status) for error in coded()}


def test_every_error_of_a_route_has_a_code_of_its_own() -> None:
    raised = {error for routes in slices.ROUTES for endpoint in routes.endpoints for error in errors_of(endpoint)}
    verdict(
        f"{error.__module__}: {error.__name__} has no code of its own: declare `code`, and write its section"
        for error in raised - set(coded())
    )


def test_no_two_errors_have_the_same_code() -> None:
    owners: dict[str, str] = {}
    verdict(
        f"{error.__name__} and {owners[error.code]} have the same code {error.code}: rename one"
        for error in coded()
        if owners.setdefault(error.code, error.__name__) != error.__name__
    )


def test_every_code_is_kebab_case() -> None:
    verdict(f"{code} is not kebab-case" for code in statuses() if not re.fullmatch(r"[a-z]+(-[a-z]+)*", code))


def test_the_page_of_problems_has_a_section_for_each_code() -> None:
    written, known = sections(PAGE.read_text()), statuses()
    verdict(
        [f"docs/problems.md has no section {code}: add it" for code in known.keys() - written.keys()]
        + [f"docs/problems.md has a section {code}, which no error has" for code in written.keys() - known.keys()]
    )


def test_every_example_shows_status_code_and_type_of_its_section() -> None:
    for code, (status, example) in sections(PAGE.read_text()).items():
        assert (code, status) == (code, statuses()[code])
        assert {"title", "detail", "requestId"} < example.keys()
        assert (example["type"], example["code"], example["status"]) == (f"/problems/{code}", code, status)


def test_every_example_shows_the_default_detail_of_its_error() -> None:
    examples = sections(PAGE.read_text())
    verdict(
        f"docs/problems.md shows another detail for {error.code}: {str(error.__doc__).partition(chr(10))[0]}"
        for error in coded()
        # Some errors always name a reason of their own.
        if error.__init__ is ServiceError.__init__
        and error is not ServiceError
        and examples[error.code][1]["detail"] != str(error.__doc__).partition("\n")[0]
    )
