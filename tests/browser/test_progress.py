"""The snippets of docs/progress.md in Chromium, with its stock EventSource."""

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from infra.environment import ROOT
from infra.local.stack import Stack
from tests.support.client import Client, Person, json_of
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

PAGE = (ROOT / "docs/progress.md").read_text()
FOLLOW, SHARE = (block.partition("```")[0] for block in PAGE.split("```js\n")[1:])
#: Names that the snippets leave to the page.
_GIVEN = "window.seen ??= []; const api = ''; const show = (found) => seen.push(found);"
SECONDS = 60


@pytest.fixture
def job(person: NewPerson) -> tuple[Person, str]:
    """The owner of a job that has begun, and the id of the job."""
    owner, session_id = person("service"), f"job-{secrets.token_hex(4)}"
    put(owner.client, session_id, total=10)
    return owner, session_id


@pytest.fixture
def tabs(browser: Any, stack: Stack, job: tuple[Person, str]) -> Any:
    """Open tabs of one browser in which the job's owner has signed in; each shows a page of the API's origin."""
    owner, _ = job
    context = browser.new_context(base_url=stack.url)
    login = {"username": owner.username, "password": owner.password, "cookie": True}
    assert context.request.post("/api/sessions", data=login).status == 201

    def tab() -> Any:
        page = context.new_page()
        page.goto("/health")
        return page

    yield tab
    context.close()


def put(client: Client, session_id: str, **fields: Any) -> Any:
    return json_of(client.call("PUT", f"/api/progress/{session_id}", fields))["data"]


def follow(page: Any, session_id: str = "") -> None:
    """Run the snippet, and with an id its function."""
    page.evaluate(f"(id) => {{ {_GIVEN} {FOLLOW}; if (id) follow(id, show); }}", session_id)


def revisions(page: Any) -> list[int]:
    found: list[int] = page.evaluate("() => seen.map((each) => (each.snapshot ?? each).revision)")
    return found


def _has(page: Any, revision: int) -> bool:
    return revision in revisions(page)


def test_a_page_shows_true_figures_after_f5_and_the_last_ones(tabs: Callable[[], Any], job: tuple[Person, str]) -> None:
    owner, session_id = job
    page = tabs()
    follow(page, session_id)
    eventually(lambda: revisions(page) == [1], SECONDS)
    put(owner.client, session_id, activated=4)
    eventually(lambda: revisions(page) == [1, 2], SECONDS)
    page.reload()
    follow(page)
    eventually(lambda: revisions(page), SECONDS)
    assert page.evaluate("() => [seen[0].revision, seen[0].activated]") == [2, 4]
    put(owner.client, session_id, activated=10)
    eventually(lambda: page.evaluate("() => seen.at(-1).completed"), SECONDS)
    assert revisions(page) == [2, 3]


def test_three_tabs_agree(tabs: Callable[[], Any], job: tuple[Person, str]) -> None:
    owner, session_id = job
    pages = [tabs() for _ in range(3)]
    for page in pages:
        follow(page, session_id)
    for activated in range(1, 11):
        last = put(owner.client, session_id, activated=activated)
    for page in pages:
        eventually(partial(page.evaluate, "() => seen.at(-1)?.completed"), SECONDS)
        assert page.evaluate("() => seen.at(-1)") == last
        assert revisions(page) == sorted(revisions(page))


def test_ten_tabs_with_one_stream_leave_the_api_reachable(tabs: Callable[[], Any], job: tuple[Person, str]) -> None:
    owner, session_id = job
    pages = [tabs() for _ in range(10)]
    for page in pages:
        page.evaluate(f"(topics) => {{ {_GIVEN} {SHARE}; share(topics, show); }}", f"progress:{session_id},inbox")
    eventually(lambda: revisions(pages[0]), SECONDS)
    # More held streams than connections of a browser would let this call wait.
    shown = pages[-1].evaluate("async () => (await fetch('/health', { signal: AbortSignal.timeout(10000) })).status")
    assert shown == 200
    last = put(owner.client, session_id, activated=10)
    for page in pages:
        eventually(partial(_has, page, last["revision"]), SECONDS)
    # The next tab takes over from the one that has the stream.
    pages[0].close()
    eventually(lambda: len(revisions(pages[1])) > 1, SECONDS)
