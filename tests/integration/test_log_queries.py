"""The log queries of docs/operations.md name fields that log records have, and an id finds a call and what followed."""

import json
import re
import secrets
from typing import Any

import pytest

from infra.environment import ROOT
from infra.local.stack import Stack
from tests.support.approvals import create_request, request_path
from tests.support.client import Client, json_of, problem_of
from tests.support.stack import STAGE, NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

SECTION = (ROOT / "docs/operations.md").read_text().partition("\n## Find a request\n")[2].partition("\n## ")[0]
#: Words of the query language, and the fields that CloudWatch itself adds.
LANGUAGE = {"fields", "filter", "sort", "stats", "count", "by", "pct", "timestamp", "log"}
#: Fields of records that only a fault makes.
OF_FAULTS = {"why", "level", "action"}


def queries() -> list[str]:
    """Return the queries of the page: the block, and the cells of the table."""
    block = re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)
    return [*block, *re.findall(r"\| `(filter .*?)` \|", SECTION)]


def fields(query: str) -> set[str]:
    """Return the names of fields in *query*."""
    return set(re.findall(r"[A-Za-z]+", re.sub(r'"[^"]*"', "", query))) - LANGUAGE


def records(stack: Stack, pattern: str) -> list[dict[str, Any]]:
    """Return the log records of all functions that match *pattern*, as `aws logs filter-log-events` does."""
    logs, found = stack.client("logs"), []
    groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/holdfast-{STAGE}-")["logGroups"]
    for group in groups:
        events = logs.filter_log_events(logGroupName=group["logGroupName"], filterPattern=pattern)["events"]
        found += [json.loads(event["message"]) for event in events if event["message"].startswith("{")]
    return found


def test_id_of_a_call_finds_the_call_and_what_followed(stack: Stack, person: NewPerson) -> None:
    # Given a question under an id
    asker, trace = person("service"), f"find-{secrets.token_hex(8)}"
    question = {"username": asker.username, "title": "Pay?", "wait": False}
    json_of(asker.client.post("/send-notification", question, headers={"X-Request-Id": trace}), 202)
    # When a shell looks for the id with the page's pattern
    pattern = re.search(r"--filter-pattern '(\"[^\"]*\")'", SECTION)
    assert pattern
    found = pattern[1].replace("01M8…", trace)
    # Then
    assert trace in found
    eventually(lambda: {one["kind"] for one in records(stack, found)} >= {"request", "message"}, 120)


def test_fields_of_every_query_are_those_of_log_records(stack: Stack, admin: Client, person: NewPerson) -> None:
    asker = person("service")
    json_of(asker.client.get(request_path(create_request(asker.client, asker.username))))
    problem_of(admin.get("/api/users/nobody-of-this-name"), 404)
    assert len(queries()) == 6
    wanted = set().union(*map(fields, queries())) - OF_FAULTS
    known: set[str] = set()

    def seen() -> bool:
        known.update(name for one in records(stack, "kind") for name in one)
        return wanted <= known

    eventually(seen, 120)
