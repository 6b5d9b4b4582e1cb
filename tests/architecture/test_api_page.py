"""docs/api.md has a line for every route, and no other lines of routes."""

import re
from collections.abc import Iterator

from chalicelib import slices
from chalicelib.core.web.routes import Endpoint
from tests.architecture.source import ROOT, verdict

PAGE = ROOT / "docs/api.md"
#: A call in a cell of a table: method, and path up to its query. `…` stands for the path of the call before.
CALL = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) ([^`?\s]+)")


def test_every_route_has_a_line_in_the_api_page() -> None:
    served = {(endpoint.method, shape(endpoint.path)): endpoint.path for endpoint in endpoints()}
    described = {(method, shape(path)): path for method, path in calls(PAGE.read_text())}
    missing = {call: served[call] for call in served.keys() - described.keys()}
    extra = {call: described[call] for call in described.keys() - served.keys()}
    verdict(
        [f"{method} {path} has no line in docs/api.md" for (method, _), path in missing.items()]
        + [f"docs/api.md has a line for {method} {path}, which is no route" for (method, _), path in extra.items()]
    )


def test_the_api_page_says_whether_any_route_takes_tickets() -> None:
    says = "No route takes a ticket yet." in PAGE.read_text()
    takes = [endpoint.path for endpoint in endpoints() if endpoint.tickets]
    verdict(["docs/api.md promises tickets, which no route takes: say so there"] if not (takes or says) else [])
    verdict([f"docs/api.md says that no route takes tickets: {takes} do"] if takes and says else [])


def endpoints() -> Iterator[Endpoint]:
    return (endpoint for routes in slices.ROUTES for endpoint in routes.endpoints)


def calls(page: str) -> Iterator[tuple[str, str]]:
    """Yield method and path of every call in a table's first column."""
    before = ""
    for line in page.splitlines():
        if line.startswith("|"):
            for method, path in CALL.findall(line.split("|")[1]):
                before = path.replace("…", before)
                yield method, before


def shape(path: str) -> str:
    """Return *path* without the names of its parameters."""
    return re.sub(r"\{\w+\}", "{}", path)


def test_calls_are_read_from_first_columns_of_tables_alone() -> None:
    page = "| `GET /a?b=` · `DELETE …` | who |\n| `POST /a/{id}/c` `{d}` | `GET /no` |\ntext `GET /e`\n"
    assert list(calls(page)) == [("GET", "/a"), ("DELETE", "/a"), ("POST", "/a/{id}/c")]
