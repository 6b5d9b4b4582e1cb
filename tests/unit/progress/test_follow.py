"""Streams of events of one job, and of many topics."""

import json
import threading
from typing import Any, NamedTuple

import pytest

from chalicelib import progress
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.web.roles import Role
from chalicelib.progress import wiring
from chalicelib.sessions import wiring as sessions
from chalicelib.users import wiring as users_wiring
from tests.support.gateway import Answer, Context, ask
from tests.support.users import signed_in
from tests.unit.progress.build import ANN

pytestmark = pytest.mark.usefixtures("store", "users")

PATH = "/activation/progress/job/events"
#: A context that leaves a held stream no time to wait.
BRIEF = Context(remaining_ms=4_100)


class Event(NamedTuple):
    name: str
    id: str
    data: Any


def events(answer: Answer) -> list[Event]:
    """Return the events of an answer, as a client reads them."""
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream"), answer.text
    found = []
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            found.append(Event(fields["event"], fields["id"], json.loads(fields["data"])))
    return found


def retry(answer: Answer) -> int:
    return int(answer.text.partition("retry: ")[2].partition("\n")[0])


@pytest.fixture
def olga(store: object, users: object) -> str:
    return signed_in("olga", Role.OFFICER)


@pytest.fixture
def job(olga: str) -> None:
    account_id = users_wiring.store().accounts(["olga"])["olga"]
    progress.begin("job", Account("olga", account_id), "activation", 2)


def follow(token: str | None, last: str | None = None, path: str = PATH, **more: Any) -> Answer:
    return ask("GET", path, token=token, headers={"Last-Event-ID": last} if last else None, **more)


def many(token: str, topics: str, last: str | None = None, **more: Any) -> Answer:
    return follow(token, last, "/api/events", query={"topics": topics}, **more)


@pytest.mark.usefixtures("job")
def test_the_first_event_is_the_newest_snapshot(olga: str) -> None:
    progress.move("job", {"activated": 1})
    (event,) = events(follow(olga))
    shown = ask("GET", "/activation/progress/job", token=olga).json["data"]
    assert event == Event("message", "2", shown)


@pytest.mark.usefixtures("job")
def test_a_stream_answer_may_neither_be_kept_nor_changed(olga: str) -> None:
    headers = follow(olga).headers
    assert headers["Cache-Control"] == "no-store, no-transform"
    assert headers["X-Accel-Buffering"] == "no"


@pytest.mark.usefixtures("job")
def test_a_client_of_the_newest_revision_is_held_until_a_change(olga: str) -> None:
    timer = threading.Timer(0.3, progress.move, ("job", {"activated": 1}))
    timer.start()
    (event,) = events(follow(olga, "1"))
    timer.join()
    assert event.id == "2"


@pytest.mark.usefixtures("job")
def test_a_held_stream_without_a_change_ends_without_events(olga: str) -> None:
    assert events(follow(olga, "1", context=BRIEF)) == []


@pytest.mark.usefixtures("job")
def test_a_client_behind_gets_the_newest_snapshot_alone(olga: str) -> None:
    for _ in range(2):
        progress.move("job", {"emailsSent": 1})
    assert [event.id for event in events(follow(olga, "1"))] == ["3"]


@pytest.mark.usefixtures("job")
def test_the_final_revision_is_sent_and_then_204_ends_the_stream(olga: str) -> None:
    progress.move("job", {"activated": 2})
    (event,) = events(follow(olga, "1"))
    assert event.data["completed"] is True
    answer = follow(olga, event.id)
    assert (answer.status, answer.text) == (204, "")


@pytest.mark.usefixtures("job")
def test_a_client_without_a_place_gets_a_snapshot_and_a_longer_retry(
    olga: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = retry(follow(olga))
    monkeypatch.setattr(type(coordination.places()), "take", lambda *_: None)
    answer = follow(olga, "1")
    assert [event.id for event in events(answer)] == ["1"]
    assert retry(answer) > usual


@pytest.mark.parametrize("path", [PATH, "/api/events"])
def test_a_stream_without_a_session_ends_with_its_reason(path: str) -> None:
    (event,) = events(follow(None, path=path, query={"topics": "inbox"} if path == "/api/events" else None))
    assert (event.name, event.data["reason"]) == ("end", "unauthenticated")
    assert follow(None, event.id, path).status == 204


@pytest.mark.usefixtures("job")
def test_a_stream_of_anothers_job_ends_with_its_reason() -> None:
    (event,) = events(follow(signed_in("eve", Role.OFFICER)))
    assert (event.name, event.data["reason"]) == ("end", "not-yours")


def test_a_stream_of_an_unknown_job_ends_with_its_reason(olga: str) -> None:
    (event,) = events(follow(olga))
    assert (event.name, event.data["reason"]) == ("end", "progress-not-found")


@pytest.mark.usefixtures("job")
def test_a_stream_held_when_its_session_ends_tells_no_change(olga: str) -> None:
    def end() -> None:
        sessions.store().end_all("olga")
        progress.move("job", {"activated": 1})

    timer = threading.Timer(0.3, end)
    timer.start()
    (event,) = events(follow(olga, "1"))
    timer.join()
    assert (event.name, event.data["reason"]) == ("end", "unauthenticated")


@pytest.mark.usefixtures("job")
def test_an_outage_is_an_empty_stream_with_a_longer_retry(olga: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(_id: str) -> None:
        raise Unavailable

    usual = retry(follow(olga))
    monkeypatch.setattr(wiring.store(), "get", down)
    answer = follow(olga)
    assert events(answer) == []
    assert retry(answer) > usual


@pytest.mark.usefixtures("job")
def test_another_job_under_the_same_id_ends_the_stream(olga: str) -> None:
    (event,) = events(follow(olga, "9"))
    assert (event.name, event.data["reason"]) == ("end", "replaced")


@pytest.mark.usefixtures("job")
def test_a_stream_of_many_topics_begins_with_all_of_them(olga: str) -> None:
    found = events(many(olga, "progress:job,inbox,approvals"))
    shown = ask("GET", "/activation/progress/job", token=olga).json["data"]
    assert [event.data for event in found] == [
        {"topic": "progress:job", "snapshot": shown},
        {"topic": "inbox", "changed": True},
        {"topic": "approvals", "changed": True},
    ]


@pytest.mark.usefixtures("job")
def test_a_stream_of_many_topics_tells_only_what_changed(olga: str) -> None:
    last = events(many(olga, "progress:job,inbox"))[-1].id
    progress.move("job", {"activated": 1})
    (event,) = events(many(olga, "progress:job,inbox", last))
    assert event.data["snapshot"]["revision"] == 2
    assert events(many(olga, "progress:job,inbox", event.id, context=BRIEF)) == []


@pytest.mark.usefixtures("job")
def test_a_stream_cut_between_two_events_goes_on_with_the_second(olga: str) -> None:
    first = events(many(olga, "progress:job,inbox"))[0]
    assert [event.data["topic"] for event in events(many(olga, "progress:job,inbox", first.id))] == ["inbox"]


@pytest.mark.usefixtures("job")
def test_one_topic_that_ends_leaves_the_others(olga: str) -> None:
    progress.begin("other", ANN, "activation", 1)
    found = events(many(olga, "progress:other,progress:none,progress:job"))
    assert [event.data.get("ended") for event in found] == ["not-yours", "progress-not-found", None]
    progress.move("job", {"activated": 2})
    (last,) = events(many(olga, "progress:other,progress:none,progress:job", found[-1].id))
    assert many(olga, "progress:other,progress:none,progress:job", last.id).status == 204


def test_an_unknown_topic_ends_the_stream(olga: str) -> None:
    (event,) = events(many(olga, "weather"))
    assert (event.name, event.data["reason"]) == ("end", "invalid-fields")


@pytest.mark.usefixtures("job")
def test_a_ticket_for_the_events_serves_the_reconnects(olga: str) -> None:
    ticket = ask("POST", "/api/sessions/current/ticket", {"path": PATH}, token=olga).json["ticket"]
    for _ in range(2):
        assert [event.id for event in events(follow(None, query={"ticket": ticket}))] == ["1"]
