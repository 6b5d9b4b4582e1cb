"""Of the outcomes of a request (answer, timeout, cancellation) exactly one wins, in every race.

Shown by races of answers with answers, timeouts and cancellations.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

import pytest
import requests
from pymongo.database import Database

from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.approvals import APPROVALS, create_request, pending, read_request, request_path, waiting
from tests.support.client import Client, at_once, json_of, problem_of
from tests.support.stack import NewPerson

pytestmark = pytest.mark.stack

ACTIONS = [f"answer-{number}" for number in range(20)]


@pytest.mark.parametrize("race", [("front", 50), ("gateway", 16)], ids=lambda race: f"{race[1]} at the {race[0]}")
def test_racing_answers_have_one_winner_and_the_waiter_sees_it(
    stack: Stack, admin: Client, person: NewPerson, figure: Figure, race: tuple[str, int]
) -> None:
    door, resolvers = race
    caller, asked_one = person("service"), person()
    resolver = asked_one.client.at(stack.url if door == "front" else stack.api_url)
    rounds = times(10)
    for _ in range(rounds):
        # Given a waiting caller
        question = {"username": asked_one.username, "actions": ACTIONS}
        with waiting(partial(caller.client.post, "/send-notification", question)) as call:
            (request_id,) = pending(asked_one.client, asked_one.username)
            # When many answers with different actions race
            path, given = request_path(request_id, "resolve"), [ACTIONS[number % 20] for number in range(resolvers)]
            answers = at_once([partial(resolver.post, path, {"action": action}) for action in given])
            outcome = json_of(call.result())
        # Then a single answer gets 200, the others 409, and the waiting caller gets the winner's action
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: resolvers - 1}
        (won,) = (action for action, answer in zip(given, answers, strict=True) if answer.status_code == 200)
        document = read_request(admin, request_id)
        assert (outcome["action"], document["action"]) == (won, won)
        assert [json_of(answer) for answer in answers if answer.status_code == 200] == [document]
        for answer in answers:
            if answer.status_code != 200:
                problem_of(answer, 409)
    figure(f"{resolvers} resolvers at once, at the {door}", f"{rounds} rounds, one winner in each")


class DeadlineRacer:
    """A user who answers ever closer to the deadline: earlier after a defeat, later after a win."""

    def __init__(self, client: Client, stack: Stack, username: str, lead_seconds: float) -> None:
        self._client, self._username, self._lead_seconds = client.at(stack.api_url), username, lead_seconds

    def round(self) -> tuple[str, requests.Response, requests.Response]:
        """Answer a request at its deadline, with a waiting caller; return the request's id and both responses."""
        new = {"username": self._username, "wait": False, "timeoutMs": 1000}
        accepted = json_of(self._client.post("/send-notification", new), 202)
        path = request_path(accepted["requestId"])
        due = datetime.fromisoformat(accepted["expiresAt"]).timestamp()
        with waiting(partial(self._client.get, path + "?waitMs=10000")) as call:
            # The server's clock is this machine's.
            time.sleep(max(0.0, due - self._lead_seconds - time.time()))
            answer = self._client.post(path + "/resolve", {"action": "approve"})
        # By a factor: a loaded machine answers ten times later than a quiet one.
        self._lead_seconds *= 0.9 if answer.status_code == 200 else 1.4
        return accepted["requestId"], answer, call.result()


def test_an_answer_at_the_deadline_excludes_the_timeout(
    stack: Stack, admin: Client, person: NewPerson, database: Database[dict[str, Any]], figure: Figure
) -> None:
    rounds, leads = times(200), (0.005, 0.012, 0.02, 0.04, 0.08)
    lanes = [DeadlineRacer(admin, stack, person().username, lead) for lead in leads]
    seen: Counter[str] = Counter()
    with ThreadPoolExecutor(len(lanes)) as pool:
        # Only a mix of both outcomes shows a race.
        while seen.total() < rounds or (min(seen["resolved"], seen["timeout"]) == 0 and seen.total() < rounds + 200):
            raced = list(pool.map(lambda lane: lane.round(), lanes))
            # A late caller sees the timeout; the cleanup records the timeout.
            json_of(admin.post(f"{APPROVALS}/cleanup"))
            for request_id, answer, waited in raced:
                document = json_of(waited)
                stored = database.approvals.find_one({"_id": request_id}) or {}
                # The answering caller, the waiting caller, the next reader and the store agree.
                expected = "resolved" if answer.status_code == 200 else "timeout"
                json_of(answer) if expected == "resolved" else problem_of(answer, 409)
                assert (document["status"], stored["status"]) == (expected, expected)
                assert document["action"] == stored["action"] == {"resolved": "approve"}.get(expected, "timeout")
                assert read_request(admin, request_id) == document
                if expected == "resolved":
                    assert json_of(answer) == document
                seen[expected] += 1
    assert min(seen["resolved"], seen["timeout"]) > 0
    figure("answer against timeout", f"{seen.total()} races, {seen['resolved']} answered, {seen['timeout']} timed out")


def test_an_answer_and_a_cancellation_exclude_each_other(admin: Client, person: NewPerson, figure: Figure) -> None:
    asked_one, rounds = person(), times(50)
    seen: Counter[int] = Counter()
    for _ in range(rounds):
        request_id = create_request(admin, asked_one.username)
        resolved, cancelled = at_once(
            [
                partial(asked_one.client.post, request_path(request_id, "resolve"), {"action": "approve"}),
                partial(admin.post, request_path(request_id, "cancel")),
            ]
        )
        assert sorted((resolved.status_code, cancelled.status_code)) == [200, 409]
        winner = resolved if resolved.status_code == 200 else cancelled
        assert read_request(admin, request_id) == json_of(winner)
        seen[resolved.status_code] += 1
    figure("answer against cancellation", f"{rounds} races, {seen[200]} answered, {seen[409]} cancelled")
