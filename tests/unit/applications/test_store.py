"""Lists of applications: pages, cursors, filters, orders, words, and the index of each query."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from chalicelib.applications import store as module
from chalicelib.applications import wiring as applications_wiring
from chalicelib.applications.search import KIND, ORDERS, ApplicationQuery, Sort
from chalicelib.applications.store import ApplicationStore
from chalicelib.core.records import wiring as records_wiring
from chalicelib.core.records.count_cache import CountCache
from chalicelib.core.records.models import Record
from infra.local.processes.mongod import Mongod
from tests.support.gateway import ask
from tests.support.mongodb_commands import explained, recording_commands
from tests.unit.applications.build import PATH, fields, make

STATUSES = ("draft", "submitted", "review", "approved", "rejected", "disbursed")
NAMES = ("Ada Lovelace", "Grace Hopper", "ada byron", "Zoë Smith")


def record(number: int) -> Record:
    """Return the *number*-th application; every order has many ties."""
    doc = fields(
        applicantName=NAMES[number % len(NAMES)],
        email=f"user{number}@example.org",
        amountMinor=1 + number % 7,
        status=STATUSES[number % len(STATUSES)],
        incomeMinor=None,
    )
    moment = f"2026-01-01T00:00:{number % 11:02d}.000Z"
    later = f"2026-02-01T00:00:{number % 5:02d}.000Z"
    return Record(KIND.name, f"a-{number:04d}", 1, doc, moment, "ann", later, "ann", f"o-{number}", f"o-{number}")


def put(count: int) -> list[Record]:
    records = [record(number) for number in range(count)]
    # In batches, as each operation has a deadline.
    for start in range(0, count, 250):
        assert records_wiring.view().apply(records[start : start + 250]) == []
    return records


@pytest.fixture
def many(mongodb: Database[dict[str, Any]]) -> list[Record]:
    return put(60)


def listed_ids(token: str, **query: str) -> list[str]:
    """Return every id of a list, read page by page."""
    found: list[str] = []
    page = {"nextCursor": ""}
    while page["nextCursor"] is not None:
        cursor = {"cursor": page["nextCursor"]} if page["nextCursor"] else {}
        answer = ask("GET", PATH, token=token, query={**query, **cursor})
        assert answer.status == 200, answer.text
        page = answer.json
        found += [item["applicationId"] for item in answer.json["items"]]
    return found


def value(record_: Record, sort: str) -> Any:
    name = sort.removeprefix("-")
    places = {
        "createdAt": record_.created_at,
        "updatedAt": record_.updated_at,
        "amountMinor": record_.doc["amountMinor"],
    }
    return places.get(name, KIND.keys(record_)["name"])


@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize("status", [None, "approved"])
def test_a_list_shows_each_application_once_in_every_order(
    officer: str, many: list[Record], sort: str, status: str | None
) -> None:
    wanted = [one for one in many if status in {None, one.doc["status"]}]
    expected = sorted(wanted, key=lambda one: (value(one, sort), one.id), reverse=sort.startswith("-"))
    query = {"sort": sort, "limit": "7"} | ({"status": status} if status else {})
    assert listed_ids(officer, **query) == [one.id for one in expected]


def test_numbered_pages_and_cursors_give_the_same_list(officer: str, many: list[Record]) -> None:
    by_page = []
    for page in range(1, 10):
        answer = ask("GET", PATH, token=officer, query={"page": str(page), "limit": "7"}).json
        assert (answer["page"], answer["limit"], answer["total"], answer["totalIsLowerBound"]) == (page, 7, 60, False)
        assert (answer["nextCursor"] is None) == (page == 9)
        by_page += [item["applicationId"] for item in answer["items"]]
    assert by_page == listed_ids(officer, limit="11")
    # A page past the end is empty, and no error.
    assert ask("GET", PATH, token=officer, query={"page": "10", "limit": "7"}).json["items"] == []


def test_a_cursor_continues_from_a_numbered_page(officer: str, many: list[Record]) -> None:
    second = ask("GET", PATH, token=officer, query={"page": "2", "limit": "7"}).json
    query = {"cursor": second["nextCursor"], "limit": "7"}
    third = ask("GET", PATH, token=officer, query=query).json
    assert third["page"] == 3
    assert third["items"] == ask("GET", PATH, token=officer, query={"page": "3", "limit": "7"}).json["items"]


def test_a_page_number_beyond_the_limit_is_refused(officer: str) -> None:
    assert ask("GET", PATH, token=officer, query={"page": "50", "limit": "200"}).status == 200
    answer = ask("GET", PATH, token=officer, query={"page": "51", "limit": "200"})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "page")


@pytest.mark.parametrize("query", [{"sort": "name"}, {"status": "lost"}, {"cursor": "x"}, {"limit": "0"}, {"q": ""}])
def test_a_malformed_query_is_refused(officer: str, query: dict[str, str]) -> None:
    assert ask("GET", PATH, token=officer, query=query).status == 422


def test_a_cursor_of_another_list_is_refused(officer: str, many: list[Record]) -> None:
    cursor = ask("GET", PATH, token=officer, query={"limit": "7"}).json["nextCursor"]
    assert ask("GET", PATH, token=officer, query={"limit": "7", "cursor": cursor, "status": "draft"}).status == 422


def test_a_total_beyond_its_bound_is_marked_as_lower_bound(
    officer: str, many: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound, expected in ((60, (60, False)), (59, (59, True))):
        monkeypatch.setattr(module, "COUNTED", bound)
        monkeypatch.setattr("chalicelib.applications.api.COUNTED", bound)
        answer = ask("GET", PATH, token=officer).json
        assert (answer["total"], answer["totalIsLowerBound"]) == expected


def _total_and_counts(mongod: Mongod, totals: CountCache, **query: str) -> tuple[int, int]:
    """Return the total of a page, and how often the database counted."""
    with recording_commands(mongod.uri) as (client, sent):
        store = ApplicationStore(client.get_default_database()["records.application"], totals)
        total = store.page(ApplicationQuery.model_validate(query)).total
        return total, str(sent.commands).count("$count")


def test_a_total_is_counted_once_for_many_pages(mongod: Mongod, many: list[Record]) -> None:
    # A count of sixty is kept for six seconds.
    totals = CountCache(kept_ms=1_000_000)
    assert _total_and_counts(mongod, totals, limit="7") == (60, 1)
    assert _total_and_counts(mongod, totals, limit="7", page="3") == (60, 0)
    assert _total_and_counts(mongod, totals, limit="7", sort="-amountMinor") == (60, 0)
    # Another list has another total.
    assert _total_and_counts(mongod, totals, limit="7", status="draft") == (10, 1)
    assert _total_and_counts(mongod, totals, limit="7", status="draft", q="ada") == (10, 1)


def test_a_cached_total_is_corrected_by_the_rows_of_a_page(mongod: Mongod, many: list[Record]) -> None:
    totals = CountCache(kept_ms=1_000_000)
    assert _total_and_counts(mongod, totals, limit="7") == (60, 1)
    records_wiring.view().apply([record(60), record(61)])
    # The last page gives the true total; a full page raises the cached total to its rows.
    assert _total_and_counts(mongod, totals, limit="7", page="9") == (62, 0)
    assert _total_and_counts(mongod, totals, limit="60", page="1") == (61, 0)
    assert _total_and_counts(mongod, totals, limit="62") == (62, 0)
    # A page past the end corrects nothing.
    assert _total_and_counts(mongod, totals, limit="7", page="11") == (60, 0)


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("ada", lambda number: number % 4 in {0, 2}),
        ("ADA love", lambda number: number % 4 == 0),
        ("zoe", lambda number: number % 4 == 3),
        ("user17@", lambda number: number == 17),
        ("a-0017", lambda number: number == 17),
        ("ada user17@", lambda number: False),
        (".*", lambda number: False),
    ],
)
def test_a_search_matches_the_beginnings_of_all_its_words(officer: str, many: list[Record], q: str, found: Any) -> None:
    assert sorted(listed_ids(officer, q=q)) == [one.id for number, one in enumerate(many) if found(number)]


def test_a_list_shows_a_new_application_until_its_deletion(officer: str, admin: str) -> None:
    made = make(officer)
    assert listed_ids(officer) == [made["applicationId"]]
    ask("DELETE", f"{PATH}/{made['applicationId']}", token=admin, query={"version": "1"})
    assert listed_ids(officer) == []


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sort=st.sampled_from(list(Sort)), limit=st.integers(1, 30), page=st.integers(1, 20))
def test_any_page_is_its_slice_of_the_whole_list(many: list[Record], sort: Sort, limit: int, page: int) -> None:
    store = applications_wiring.store()
    whole = store.page(ApplicationQuery.model_validate({"sort": sort, "limit": 200})).items
    found = store.page(ApplicationQuery.model_validate({"sort": sort, "limit": limit, "page": page}))
    assert found.items == whole[(page - 1) * limit : page * limit]
    assert (found.next_cursor is not None) == (page * limit < len(whole))


# --- indexes


PLANS = [
    *({"sort": sort} for sort in Sort),
    *({"sort": sort, "status": "approved"} for sort in Sort),
    {"page": "3"},
    {"page": "3", "status": "approved", "sort": "amountMinor"},
]


@pytest.mark.parametrize("query", PLANS, ids=str)
def test_a_page_uses_the_index_of_its_order(mongod: Mongod, plenty: None, query: dict[str, str]) -> None:
    plan = _plan(mongod, query)
    suffix = ORDERS[query.get("sort", "-createdAt").removeprefix("-")]
    expected = f"live_1_doc.status_1_{suffix}_1__id_1" if "status" in query else f"live_1_{suffix}_1__id_1"
    assert expected in plan.indexes
    assert not plan.names & {"COLLSCAN", "SORT"}
    # Only copies of the page are read, and a key for each skipped or counted copy.
    assert plan.examined <= 51
    counted = 3_000 // (6 if "status" in query else 1)
    assert plan.keys_examined <= int(query.get("page", 1)) * 50 + 1 + counted + 2


@pytest.mark.parametrize("q", ["user17@", "zoe user17"])
def test_a_search_uses_the_index_of_words(mongod: Mongod, plenty: None, q: str) -> None:
    plan = _plan(mongod, {"q": q})
    assert plan.indexes == {"live_1_keys.words_1_doc.status_1_createdAt_1__id_1"}
    assert "COLLSCAN" not in plan.names


@pytest.fixture
def plenty(mongodb: Database[dict[str, Any]]) -> None:
    put(3_000)


def _plan(mongod: Mongod, query: dict[str, str]) -> Any:
    with recording_commands(mongod.uri) as (client, sent):
        copies = client.get_default_database()["records.application"]
        ApplicationStore(copies, CountCache(kept_ms=0)).page(ApplicationQuery.model_validate(query))
        assert len(sent.commands) == 1
        return explained(client, sent.commands[0])
