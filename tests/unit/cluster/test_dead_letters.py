"""Administrators list, send back and throw away the dead letters of a queue."""

from typing import Any

import pytest

from chalicelib.approvals.queues import PUSH
from chalicelib.cluster import api, gauges
from chalicelib.core.queueing import wiring
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.runtime import logs
from chalicelib.core.web.roles import Role
from chalicelib.sessions.store import SessionStore
from infra.deployment import template
from tests.support.gateway import ask
from tests.support.queue import dead_letter
from tests.unit.conftest import Printed

PATH = "/api/admin/queues/push/dead"


@pytest.fixture
def admin(sessions: SessionStore, dynamodb: Any, mail: Sender) -> str:
    return sessions.open("ann", [Role.ADMIN], "e").token


def put(*names: str, queue: str = PUSH.name) -> list[str]:
    """Store dead letters, and return their ids, the oldest first."""
    letters = [dead_letter(name, f"reason {name}", queue=queue) for name in names]
    for letter in letters:
        wiring.dead_letters().store(letter)
    return sorted(letter.id for letter in letters)


def test_dead_letters_are_listed_with_reason_attempts_and_body(admin: str) -> None:
    (letter_id,) = put("a")
    put("b", queue=REPAIR.name)
    (item,) = ask("GET", PATH, token=admin).json["items"]
    assert {name: item[name] for name in ("id", "reason", "attempts", "causedBy")} == {
        "id": letter_id,
        "reason": "reason a",
        "attempts": 3,
        "causedBy": "cause of a",
    }
    assert '"jobId":"a"' in item["body"]
    assert item["deadAt"].endswith("Z")


def test_pages_of_dead_letters_follow_each_other(admin: str) -> None:
    ids = put("a", "b", "c")
    first = ask("GET", PATH, token=admin, query={"limit": "2"}).json
    second = ask("GET", PATH, token=admin, query={"limit": "2", "cursor": first["nextCursor"]}).json
    assert [item["id"] for item in first["items"] + second["items"]] == ids
    assert second["nextCursor"] is None


def test_cursor_of_another_queue_is_refused(admin: str) -> None:
    put("a", "b")
    cursor = ask("GET", PATH, token=admin, query={"limit": "1"}).json["nextCursor"]
    other = ask("GET", "/api/admin/queues/repair/dead", token=admin, query={"limit": "1", "cursor": cursor})
    assert other.status == 422


def test_chosen_dead_letters_are_sent_back_and_unknown_ids_named(admin: str, mail: Sender) -> None:
    ids = put("a", "b")
    answer = ask("POST", f"{PATH}/redrive", {"ids": [ids[1], "0-unknown"]}, token=admin)
    assert (answer.status, answer.json) == (200, {"redriven": 1, "missing": ["0-unknown"], "more": False})
    assert mail.depth(PUSH).pending == 1
    assert [item["id"] for item in ask("GET", PATH, token=admin).json["items"]] == ids[:1]


def test_redrive_without_a_body_sends_all_back(admin: str, mail: Sender, printed: Printed) -> None:
    put("a", "b", "c")
    answer = ask("POST", f"{PATH}/redrive", token=admin)
    assert answer.json == {"redriven": 3, "missing": [], "more": False}
    assert mail.depth(PUSH).pending == 3
    line = printed.lines()[-1]
    assert (line["queue"], line["redriven"], line["user"]) == ("push", 3, "ann")


@pytest.mark.parametrize("chosen", [{"ids": []}, {"ids": ["x" * 101]}, {"ids": ["a b"]}, {"all": True}])
def test_malformed_choice_is_refused(admin: str, chosen: dict[str, Any]) -> None:
    assert ask("POST", f"{PATH}/redrive", chosen, token=admin).status == 422


def test_redrive_and_purge_without_time_say_that_there_is_more(
    admin: str, mail: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(*(f"{number:02x}" for number in range(25)))
    monkeypatch.setattr(api, "_BUDGET_MS", 0)
    assert ask("POST", f"{PATH}/redrive", token=admin).json == {"redriven": 10, "missing": [], "more": True}
    query = {"confirm": "push"}
    assert ask("DELETE", PATH, token=admin, query=query).json == {"purged": 10, "more": True}
    assert ask("DELETE", PATH, token=admin, query=query).json == {"purged": 5, "more": False}


@pytest.mark.parametrize("query", [{}, {"confirm": ""}, {"confirm": "yes"}, {"confirm": "repair"}])
def test_purge_without_the_queues_name_deletes_nothing(admin: str, query: dict[str, str]) -> None:
    put("a")
    assert ask("DELETE", PATH, token=admin, query=query).status == 422
    assert len(ask("GET", PATH, token=admin).json["items"]) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/admin/queues/nothing/dead"),
        ("POST", "/api/admin/queues/nothing/dead/redrive"),
        ("DELETE", "/api/admin/queues/nothing/dead"),
    ],
)
def test_unknown_queue_is_404_and_other_roles_403(admin: str, sessions: SessionStore, method: str, path: str) -> None:
    query = {"confirm": "nothing"} if method == "DELETE" else None
    answer = ask(method, path, token=admin, query=query)
    assert (answer.status, answer.json["code"]) == (404, "queue-not-found")
    officer = sessions.open("bob", [Role.OFFICER], "e").token
    assert ask(method, path, token=officer, query=query).status == 403


def test_sweep_measures_the_dead_letters_that_the_alarm_watches(admin: str, printed: Printed) -> None:
    put("a", "b")
    put("c", queue=REPAIR.name)
    with logs.invocation("sweep"):
        assert gauges.measure() == 3
    line = printed.lines()[-1]
    alarm = template.resources()["Resources"]["DeadLettersAlarm"]["Properties"]
    (metrics,) = line["_aws"]["CloudWatchMetrics"]
    assert line[alarm["MetricName"]] == 3
    assert alarm["MetricName"] in [metric["Name"] for metric in metrics["Metrics"]]
    assert alarm["Namespace"] == metrics["Namespace"]
    wanted = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    assert [sorted(names) for names in metrics["Dimensions"]] == [sorted(wanted)]
    assert (line["service"], line["stage"]) == (wanted["service"], "unit")
    assert wanted["stage"] == {"Ref": "Stage"}
