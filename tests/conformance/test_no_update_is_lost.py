"""No update is lost, and no version comes twice.

Shown by many concurrent writers of an application, through the gateway. tests/unit/core/records/test_machine.py tests
random orders of events.
"""

from functools import partial
from typing import Any

import pytest

from tests.support.client import Client, at_once, json_of, problem_of
from tests.support.records import DOC, TrackedRecords
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

PATH = "/api/applications"


@pytest.fixture(scope="module")
def officer(person: NewPerson) -> Client:
    return person("officer").client


def make(caller: Client) -> dict[str, Any]:
    made: dict[str, Any] = json_of(caller.post(PATH, DOC), 201)
    return made


def at(application: dict[str, Any]) -> str:
    return f"{PATH}/{application['applicationId']}"


def test_a_hundred_racing_changes_have_one_winner(officer: Client) -> None:
    made = make(officer)
    # Warm instances first: a hundred cold starts at once are no part of the promise.
    at_once([partial(officer.get, at(made))] * 10)
    calls = [partial(officer.call, "PUT", at(made), {"termMonths": 1 + n, "version": 1}) for n in range(100)]
    answers = at_once(calls)
    (winner,) = [answer for answer in answers if answer.status_code == 200]
    assert json_of(winner)["version"] == 2
    for answer in answers:
        if answer is not winner:
            assert problem_of(answer, 409)["currentVersion"] == 2
    assert json_of(officer.get(at(made))) == winner.json()


def test_every_change_of_racing_writers_has_its_own_version(officer: Client, tracked: TrackedRecords) -> None:
    # Given writers who read, increment, and retry after a conflict
    made = make(officer)
    writers, additions = 8, 5

    def add() -> None:
        for _ in range(additions):
            eventually(partial(_added, officer, at(made)), every_seconds=0)

    # When all write at once
    at_once([add] * writers)
    # Then every addition is in the sum, and every version is in the history once
    last = json_of(officer.get(at(made)))["amountMinor"]
    assert last == made["amountMinor"] + writers * additions
    tracked.wait_until_projected([made["applicationId"]])
    amounts = [(version.doc or {})["amountMinor"] for version in tracked.versions(made["applicationId"])]
    assert amounts == list(range(made["amountMinor"], last + 1))


def _added(caller: Client, path: str) -> bool:
    """Increment the amount at the version read; return whether the write won."""
    read = caller.get(path)
    body = {"amountMinor": json_of(read)["amountMinor"] + 1}
    answer = caller.call("PUT", path, body, headers={"If-Match": read.headers["ETag"]})
    if answer.status_code != 200:
        problem_of(answer, 409)
    return answer.status_code == 200
